"""`Parts`: what the console shows: the parts that `lifespan(...)` of the service has opened."""

from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from roadworthy.database import Database
from roadworthy.health import Health
from roadworthy.jobs import Jobs
from roadworthy.lifespan import PartAmbiguous, PartMissing, find
from roadworthy.problem_log import ProblemLog

__all__ = ["Parts", "open_part"]

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a service; one that it does not have is None."""

    jobs: Jobs | None
    health: Health | None
    problem_log: ProblemLog | None
    database: Database | None

    @classmethod
    def of(cls, request: Request) -> "Parts":
        """Return the parts of the application that serves a request."""
        return cls(
            jobs=open_part(request, Jobs),
            health=open_part(request, Health),
            problem_log=open_part(request, ProblemLog),
            database=open_part(request, Database),
        )


def open_part(request: Request, kind: type[P]) -> P | None:
    """Return the open part of a type, or None where there is none, or several without a name."""
    try:
        return find(request, kind)
    except (PartMissing, PartAmbiguous):
        return None
