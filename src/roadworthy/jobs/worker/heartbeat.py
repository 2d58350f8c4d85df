"""`Heartbeat`: extend the leases of running jobs, and end jobs without a lease.

With each beat, `Housekeeping` looks after the jobs of other workers, if this worker has one.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.table.ledger import Ledger
from roadworthy.jobs.table.presence import Presence, Role
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.attempt import Reason
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.housekeeping import Housekeeping
from roadworthy.jobs.worker.recorder import may_pass
from roadworthy.jobs.worker.worker_locks import WorkerLocks

__all__ = ["Heartbeat"]

_BEATS: Final = 3
"""Heartbeats in the time of a lease, of which two may fail."""


class Heartbeat:
    """Send three heartbeats in the time of each lease, until cancelled.

    Args:
        work: The database.
        ledger: Extends leases in the name of this worker.
        held: Returns the ids of the jobs that this worker holds.
        end: Called with the id of a job that was cancelled or whose lease is lost.
        woken: Called when jobs of other workers were queued again.
        locks: Tell which other workers are dead before their leases end, on SQLite.
        housekeeping: Looks after the jobs of other workers; None leaves that to another process.
        role: The kind of this process, for operators.
    """

    def __init__(
        self,
        work: JobsContext,
        ledger: Ledger,
        *,
        held: Callable[[], Collection[str]],
        end: Callable[[str, Reason], object],
        woken: Callable[[], object],
        locks: WorkerLocks | None = None,
        housekeeping: Housekeeping | None = None,
        role: Role = "worker",
    ) -> None:
        self._work, self._ledger = work, ledger
        self._locks, self._housekeeping = locks, housekeeping
        self._held, self._end_job, self._woken = held, end, woken
        self._presence = Presence(ledger.worker, role=role, version=work.version)
        self._now = asyncio.Event()
        self.beaten_at = monotonic()
        """When the last heartbeat reached the table, on the monotonic clock."""

    def hasten(self) -> None:
        """Send the next heartbeat now."""
        self._now.set()

    async def beat_forever(self) -> None:
        """Send heartbeats; while the database is away, try again with each."""
        seconds = self._ledger.lease.total_seconds() / _BEATS
        away = False
        while True:
            try:
                await self._beat()
                if self._housekeeping is not None:
                    await self._housekeeping.count_and_sweep()
                away = False
            except Exception as error:  # any error of the driver: the next beat may succeed
                logs.database_down(error, seconds, again=away, because_of_us=not may_pass(error))
                away = True
            await self._pause(seconds)

    async def end(self) -> None:
        """Remove the row by which operators see this worker, if the database answers."""
        with suppress(Exception):  # any error of the driver: the row is swept in a day
            async with self._work.units.engine.begin() as db:
                await self._presence.remove(db)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._now.wait()
        except TimeoutError:
            return
        finally:
            self._now.clear()

    async def _beat(self) -> None:
        mine = self._held()
        async with self._work.units.engine.begin() as db:
            await self._ledger.correct_clock(db)
            renewed = await self._ledger.beat(db, mine) if mine else {}
            await self._write_presence(db)
            dead = await self._dead_workers(db)
            rescued = await self._rescue(db, mine, dead)
        self.beaten_at = monotonic()
        if self._locks is not None:
            self._locks.forget(dead)
        self._end_lost_and_cancelled(mine, renewed)
        if rescued:
            self._woken()

    async def _write_presence(self, db: AsyncConnection) -> None:
        seen = self._housekeeping
        queues = self._work.queues if seen is None else seen.queues
        now, lease = self._ledger.now(), self._ledger.lease
        await self._presence.write(db, now, queues=queues, lease=lease)

    async def _dead_workers(self, db: AsyncConnection) -> list[str]:
        if self._housekeeping is None or self._locks is None or not self._locks.knows:
            return []
        return self._locks.dead(await self._ledger.others(db))

    async def _rescue(
        self, db: AsyncConnection, mine: Collection[str], dead: Collection[str]
    ) -> bool:
        if self._housekeeping is None:
            return False
        return await self._housekeeping.rescue(db, mine=mine, dead=dead)

    def _end_lost_and_cancelled(self, mine: Collection[str], renewed: dict[str, bool]) -> None:
        """End the jobs whose lease was not extended, and cancelled jobs."""
        for id_ in mine:
            if id_ not in renewed:
                self._end_job(id_, "lost")
            elif renewed[id_]:
                self._end_job(id_, "cancel")
