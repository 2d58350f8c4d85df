"""`Housekeeping`: look after the jobs of all workers.

It queues the jobs of workers whose leases have ended, queues parked jobs whose task is known again,
counts the backlog, and removes jobs that ended long ago.
"""

from collections.abc import Collection
from datetime import timedelta
from time import monotonic
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import earlier
from roadworthy.jobs import metrics
from roadworthy.jobs.table import records
from roadworthy.jobs.table.ledger import Ledger
from roadworthy.jobs.table.presence import forget_silent
from roadworthy.jobs.table.states import State
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.context import JobsContext

__all__ = ["Housekeeping"]

_COUNT_SECONDS: Final = 15.0
_SWEEP_SECONDS: Final = 600.0
_NOTHING: Final = records.QueueStats(0, timedelta(0))


class Housekeeping:
    """Look after the table; several workers may do so at a time.

    Args:
        work: The database and the tasks.
        ledger: Moves rows in the name of this worker.
    """

    def __init__(self, work: JobsContext, ledger: Ledger) -> None:
        self._work, self._ledger = work, ledger
        self._count_at = 0.0
        self._sweep_at = 0.0
        self.queues = work.queues
        """Every queue that has a task or a job."""

    async def rescue(
        self, db: AsyncConnection, *, mine: Collection[str], dead: Collection[str]
    ) -> bool:
        """Queue jobs that no worker runs any more, and return whether there were any.

        Args:
            db: A connection in a transaction.
            mine: Jobs of this worker, which is alive whatever their leases say.
            dead: Workers that are known to be dead before their leases end.
        """
        rescued = await self._ledger.rescue(db, mine=mine, dead=dead)
        unparked = await self._ledger.unpark(db, self._work.knows)
        logs.rescued(rescued)
        return bool(rescued or unparked)

    async def count_and_sweep(self) -> None:
        """Count the backlog every 15 s, and remove old jobs every 10 minutes."""
        now = monotonic()
        if now >= self._count_at:
            self._count_at = now + _COUNT_SECONDS
            async with self._work.units.engine.begin() as db:
                await self._count(db)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            async with self._work.units.engine.begin() as db:
                await forget_silent(db, self._ledger.now())
            await self._sweep(State.SUCCEEDED, self._work.keep)
            await self._sweep(State.CANCELLED, self._work.keep)
            await self._sweep(State.DEAD, self._work.keep_dead)

    async def _count(self, db: AsyncConnection) -> None:
        counted = await records.waiting(db, self._ledger.now())
        self.queues = sorted({*self.queues, *counted})
        for queue in self.queues:
            found = counted.get(queue, _NOTHING)
            metrics.backlog(queue, depth=found.depth, oldest=found.oldest)

    async def _sweep(self, state: State, keep: timedelta) -> None:
        before, removed = earlier(self._ledger.now(), keep), 1
        while removed:
            async with self._work.units.engine.begin() as db:
                removed = await self._ledger.sweep(db, state, before)
