"""`Doorbell`: what a message broker carries, and `Broker`: what is asked of one.

A doorbell says that there are jobs, not which: whoever hears it claims the next ones,
in the order that their rows have by then. A lost one costs time and no job, a late or
doubled one finds nothing.
"""

from dataclasses import dataclass
from typing import Protocol

from roadworthy.jobs.terms import RunsOn

__all__ = ["Broker", "Doorbell"]


@dataclass(frozen=True, slots=True)
class Doorbell:
    """So many jobs of a queue wait for a place on a tier."""

    queue: str
    runs_on: RunsOn
    jobs: int


class Broker(Protocol):
    """A way to worker processes; all calls block, and come from one thread at a time.

    Any of them may raise whatever its driver does when the broker is away. Each ends in
    a time of its own: a broker that hangs holds up its thread.
    """

    def ring(self, queue: str, bells: list[Doorbell]) -> int:
        """Send doorbells of one queue; return how many messages then wait there.

        It returns when the broker has taken all of them, and raises where it may not have.
        """
        ...

    def waiting(self, queue: str) -> int:
        """Return how many messages of a queue no worker has taken."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
