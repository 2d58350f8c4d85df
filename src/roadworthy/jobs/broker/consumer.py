"""`Consumer`: run the jobs that doorbells announce, in a worker of a broker.

A consumer claims only as many jobs as doorbells announced and as it has slots for. So the broker
decides how many jobs a process runs, and the rows decide which. The relay does everything else:
it queues jobs that are due, and jobs whose worker has died.
"""

import asyncio
import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.table.ledger import Claimed, Ledger, worker_name
from roadworthy.jobs.task_options import RunsOn
from roadworthy.jobs.worker.claim_source import Claims, Plan, QueuePlaces
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.loop import Loop
from roadworthy.jobs.worker.options import WorkerLimits
from roadworthy.jobs.worker.outcome import Outcome

__all__ = ["Consumer"]

_RARELY: Final = 60.0
"""Seconds between two looks at the table, which find nothing here."""


class Consumer:
    """Claim and run the jobs that doorbells announce, until `stop`.

    Args:
        work: The database, tasks and parts.
        limits: How many jobs run at a time, and for how long they are leased.
    """

    def __init__(self, work: JobsContext, limits: WorkerLimits) -> None:
        ledger = Ledger(worker=worker_name(), lease=limits.lease, clock=work.clock)
        self._source = _DoorbellSource(ledger)
        self._loop = Loop(work, limits, ledger, self._source)

    async def start(self) -> None:
        """Begin to wait for doorbells."""
        await self._loop.start()

    async def stop(self) -> None:
        """Claim no more jobs; give back those that do not end within the grace."""
        await self._loop.stop()

    def recheck(self) -> None:
        """Check now whether a running job was cancelled."""
        self._loop.recheck()

    async def claim_for(self, bell: Doorbell, *, patience: timedelta) -> bool:
        """Claim the jobs that a doorbell announces, and return whether that was done.

        It was not if no slots were free in time, or the database did not answer: then another
        worker should have the doorbell. It was if there are no such jobs any more.
        """
        with self._source.waiting(bell) as waiting:
            self._loop.wake()
            try:
                async with asyncio.timeout(patience.total_seconds()):
                    await waiting.answered.wait()
            except TimeoutError:
                return False
        return True


@dataclass(eq=False, slots=True)
class _Waiting:
    """A doorbell whose jobs are still to be claimed."""

    bell: Doorbell
    left: int
    """How many of its jobs have not been claimed yet."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class _DoorbellSource:
    """A claim source that claims the jobs of doorbells, and looks for no others."""

    poll = _RARELY

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[_Waiting] = []

    @contextmanager
    def waiting(self, bell: Doorbell) -> Generator[_Waiting]:
        """Let a doorbell wait within the block until its jobs are claimed."""
        waiting = _Waiting(bell, bell.jobs)
        self._waiting.append(waiting)
        try:
            yield waiting
        finally:
            self._waiting.remove(waiting)

    def seconds_until_look(self) -> float:
        """Return infinity: the relay looks for jobs that become due."""
        return math.inf

    def wake(self) -> None:
        """Do nothing: the waiting doorbells are the plan."""

    def ended(self, job: Claimed, runs_on: RunsOn, outcome: Outcome | None) -> None:
        """Do nothing: the relay admits jobs with limits, and doorbells wait for slots."""

    def plan(self, places: Mapping[RunsOn, int]) -> Plan:
        """Plan to claim as many jobs as doorbells announce, if there are slots."""
        told: dict[RunsOn, int] = {}
        for waiting in self._waiting:
            told[waiting.bell.runs_on] = told.get(waiting.bell.runs_on, 0) + waiting.left
        wanted: dict[RunsOn, int] = {
            tier: min(places[tier], jobs) for tier, jobs in told.items() if places[tier] and jobs
        }
        return Plan(wanted)

    async def claim(self, db: AsyncConnection, plan: Plan, places: QueuePlaces) -> Claims:
        """Claim jobs for one doorbell after another, to be answered after the commit."""
        jobs: dict[RunsOn, list[Claimed]] = {tier: [] for tier in plan.wanted}
        left: dict[_Waiting, int] = {}
        for waiting in [each for each in self._waiting if each.bell.runs_on in plan.wanted]:
            queue, runs_on = waiting.bell.queue, waiting.bell.runs_on
            free = min(plan.wanted[runs_on] - len(jobs[runs_on]), places.left(queue))
            if (limit := int(min(waiting.left, free))) > 0:
                found = await self._ledger.claim(db, queue=queue, runs_on=runs_on, limit=limit)
                places.take(queue, len(found))
                jobs[runs_on] += found
                # There are no more jobs.
                left[waiting] = waiting.left - limit if len(found) == limit else 0
        return Claims(jobs, committed=lambda: _answer(left))

    async def anything_waits(self) -> bool:
        """Return False: the relay looks for waiting jobs."""
        return False


def _answer(left: Mapping[_Waiting, int]) -> None:
    """Answer the doorbells whose jobs are claimed."""
    for waiting, jobs in left.items():
        waiting.left = jobs
        if not jobs:
            waiting.answered.set()
