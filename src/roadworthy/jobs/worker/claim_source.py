"""`ClaimSource`: where a loop finds the jobs that it claims.

The embedded engine claims any jobs of the table (`TableSource`). A worker process of a broker
claims the jobs that doorbells announce. Everything else in a round is the same for both.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.task_options import RunsOn
from roadworthy.jobs.worker.outcome import Outcome

__all__ = ["ClaimSource", "Claims", "Plan", "QueuePlaces"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a source for the next transaction of its loop."""

    wanted: Mapping[RunsOn, int]
    """How many jobs to claim for each tier; tiers that need none are left out."""
    look: bool = False
    """Whether to queue jobs that have become due first."""

    @property
    def is_empty(self) -> bool:
        """Whether the plan needs no transaction."""
        return not self.wanted and not self.look


def _nothing() -> None:
    """Do nothing after the commit."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Jobs that were claimed in a transaction, for each tier."""

    jobs: Mapping[RunsOn, list[Claimed]]
    committed: Callable[[], object] = _nothing
    """Called by the loop once that transaction is committed."""


class QueuePlaces:
    """How many more jobs of each queue a worker may hold, by its `queue_limits`."""

    def __init__(self, limits: Mapping[str, int], held: Iterable[Claimed]) -> None:
        count = Counter(job.queue for job in held)
        self._left = {queue: most - count[queue] for queue, most in limits.items()}

    def left(self, queue: str) -> float:
        """Return how many more jobs of a queue may be claimed, whatever their tier."""
        return self._left.get(queue, math.inf)

    def take(self, queue: str, jobs: int) -> None:
        """Count jobs that were claimed."""
        if queue in self._left:
            self._left[queue] -= jobs


class ClaimSource(Protocol):
    """Decide how many jobs a loop claims and when, and claim them."""

    @property
    def poll(self) -> float:
        """Seconds without news after which the loop calls `anything_waits`."""
        ...

    def seconds_until_look(self) -> float:
        """Return the seconds until the next round, unless there is news before."""
        ...

    def wake(self) -> None:
        """Note that there may be new jobs."""
        ...

    def ended(self, job: Claimed, runs_on: RunsOn, outcome: Outcome | None) -> None:
        """Note that a job of this worker has ended, and its slot is free."""
        ...

    def plan(self, places: Mapping[RunsOn, int]) -> Plan:
        """Return the plan of the next round; `places` is how many jobs each tier takes."""
        ...

    async def claim(self, db: AsyncConnection, plan: Plan, places: QueuePlaces) -> Claims:
        """Carry out a plan in the transaction of the connection; return the claimed jobs.

        After a rollback, this may be called again with another plan.
        """
        ...

    async def anything_waits(self) -> bool:
        """Return whether there may be jobs that were not announced."""
        ...
