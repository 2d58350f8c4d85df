"""`Heartbeat`: the heartbeat of a worker, and what it looks after at the same time.

It extends the leases of what runs here, stops what lost its lease or was cancelled,
queues the jobs of workers whose heartbeat has ended, hands parked jobs to whoever
knows them, counts the backlog, and sweeps away what finished long ago.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import earlier
from roadworthy.jobs import observe
from roadworthy.jobs.table import records
from roadworthy.jobs.table.ledger import Ledger
from roadworthy.jobs.table.presence import Presence, Role
from roadworthy.jobs.table.states import State
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.attempt import Reason
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.recorder import may_pass
from roadworthy.jobs.worker.worker_locks import WorkerLocks

__all__ = ["Heartbeat"]

_BEATS: Final = 3
"""Heartbeats in the time of a lease: two may fail."""
_COUNT_SECONDS: Final = 15.0
_SWEEP_SECONDS: Final = 600.0
_NOTHING: Final = records.QueueStats(0, timedelta(0))


class Heartbeat:
    """Beat three times in each lease, until cancelled.

    With `only_mine` it keeps the leases of this worker, and leaves the rest to another.
    """

    def __init__(
        self,
        work: JobsContext,
        ledger: Ledger,
        *,
        begun: Callable[[], Collection[str]],
        end: Callable[[str, Reason], object],
        woken: Callable[[], object],
        alive: WorkerLocks | None = None,
        only_mine: bool = False,
        role: Role = "worker",
    ) -> None:
        self._work, self._ledger = work, ledger
        self._only_mine, self._alive = only_mine, alive
        self._begun, self._stop, self._woken = begun, end, woken
        self._presence = Presence(ledger.worker, role=role, version=work.version)
        self._now = asyncio.Event()
        self._count_at = 0.0
        self._sweep_at = 0.0
        self.beaten_at = monotonic()
        """When the last heartbeat reached the table, on the monotonic clock."""
        self.queues = _queues_of(work)
        """Every queue that there is a task or a job of."""

    def hasten(self) -> None:
        """Beat now."""
        self._now.set()

    async def beat_forever(self) -> None:
        """Beat; where the database is away, try again with the next beat."""
        seconds = self._ledger.lease.total_seconds() / _BEATS
        away = False
        while True:
            try:
                await self._beat()
                if not self._only_mine:
                    await self._look_after()
                away = False
            except Exception as error:  # whatever a driver raises: the next beat may succeed
                logs.away(error, seconds, again=away, because_of_us=not may_pass(error))
                away = True
            try:
                async with asyncio.timeout(seconds):
                    await self._now.wait()
            except TimeoutError:
                continue
            finally:
                self._now.clear()

    async def _beat(self) -> None:
        mine = self._begun()
        async with self._work.units.engine.begin() as db:
            await self._ledger.correct_clock(db)
            held = await self._ledger.beat(db, mine) if mine else {}
            await self._presence.write(
                db, self._ledger.now(), queues=self.queues, lease=self._ledger.lease
            )
            dead = await self._dead(db)
            found = not self._only_mine and await self._queue_again(db, mine, dead)
        self.beaten_at = monotonic()
        if self._alive is not None:
            self._alive.forget(dead)
        self._end(mine, held)
        if found:
            self._woken()

    async def end(self) -> None:
        """Take this worker's row away, as far as the database answers."""
        with suppress(Exception):  # whatever a driver raises: the row is swept in a day
            async with self._work.units.engine.begin() as db:
                await self._presence.remove(db)

    async def _dead(self, db: AsyncConnection) -> list[str]:
        if self._only_mine or self._alive is None or not self._alive.knows:
            return []
        return self._alive.dead(await self._ledger.others(db))

    async def _queue_again(
        self, db: AsyncConnection, mine: Collection[str], dead: Collection[str]
    ) -> bool:
        rescued = await self._ledger.rescue(db, mine=mine, dead=dead)
        unparked = await self._ledger.unpark(db, self._work.knows)
        logs.rescued(rescued)
        return bool(rescued or unparked)

    def _end(self, mine: Collection[str], held: dict[str, bool]) -> None:
        for id_ in mine:
            if id_ not in held:
                self._stop(id_, "lost")
            elif held[id_]:
                self._stop(id_, "cancel")

    async def _look_after(self) -> None:
        now = monotonic()
        if now >= self._count_at:
            self._count_at = now + _COUNT_SECONDS
            async with self._work.units.engine.begin() as db:
                await self._count(db)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            async with self._work.units.engine.begin() as db:
                await self._presence.sweep(db, self._ledger.now())
            await self._sweep(State.SUCCEEDED, self._work.keep)
            await self._sweep(State.CANCELLED, self._work.keep)
            await self._sweep(State.DEAD, self._work.keep_dead)

    async def _count(self, db: AsyncConnection) -> None:
        counted = await records.waiting(db, self._ledger.now())
        self.queues = sorted({*self.queues, *counted})
        for queue in self.queues:
            found = counted.get(queue, _NOTHING)
            observe.backlog(queue, depth=found.depth, oldest=found.oldest)

    async def _sweep(self, state: State, keep: timedelta) -> None:
        before, removed = earlier(self._ledger.now(), keep), 1
        while removed:
            async with self._work.units.engine.begin() as db:
                removed = await self._ledger.sweep(db, state, before)


def _queues_of(work: JobsContext) -> list[str]:
    return sorted({"default", *(task.terms.queue for task in work.tasks.values())})
