"""`Parts`: what the console shows: the parts that `lifespan(...)` of the service has opened."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from roadworthy.database import Database
from roadworthy.events import Events
from roadworthy.health import Health
from roadworthy.jobs import Jobs
from roadworthy.lifespan import PartAmbiguous, PartMissing, find
from roadworthy.observability import Telemetry
from roadworthy.problem_log import ProblemLog

if TYPE_CHECKING:
    from roadworthy.uploads import Files

__all__ = ["Parts", "open_part"]

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a service; one that it does not have is None."""

    jobs: Jobs | None
    health: Health | None
    problem_log: ProblemLog | None
    database: Database | None
    telemetry: Telemetry | None
    events: Events | None
    files: "Files | None"

    @classmethod
    def of(cls, request: Request) -> "Parts":
        """Return the parts of the application that serves a request."""
        return cls(
            jobs=open_part(request, Jobs),
            health=open_part(request, Health),
            problem_log=open_part(request, ProblemLog),
            database=open_part(request, Database),
            telemetry=open_part(request, Telemetry),
            events=open_part(request, Events),
            files=_files(request),
        )


def _files(request: Request) -> "Files | None":
    # Uploads are an extra: where nobody has imported them, no such part can be open.
    uploads = sys.modules.get("roadworthy.uploads")
    return None if uploads is None else open_part(request, uploads.Files)


def open_part(request: Request, kind: type[P]) -> P | None:
    """Return the open part of a type, or None where there is none, or several without a name."""
    try:
        return find(request, kind)
    except (PartMissing, PartAmbiguous):
        return None
