"""Tasks that run by the clock."""

# ruff: noqa: S101, PLR2004, D102 - these are tests

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs.table.tables import schedules, utc
from roadworthy.testing import contract_tasks as tasks
from roadworthy.testing.contract.setting import Setting, until

__all__ = ["Schedules"]


class Schedules(Setting):
    """Tasks that run by the clock."""

    async def test_each_tick_is_one_job_also_with_two_engines(self, db: Database) -> None:
        scheduled = [tasks.each_second]

        async def ticked() -> bool:
            return await _count(db) >= 3

        began = datetime.now(UTC)
        async with self.working(db, tasks=scheduled), self.working(db, tasks=scheduled):
            await until(ticked, "three seconds have ticked")
        passed = int(datetime.now(UTC).timestamp()) - int(began.timestamp())

        assert await _count(db) <= passed

    async def test_ticks_that_were_missed_become_one_job(self, db: Database) -> None:
        async def known() -> bool:
            async with db.read() as session:
                return await session.scalar(select(schedules.c.next_at)) is not None

        async def ticked() -> bool:
            return await _count(db) > 0

        async with self.working(db, tasks=[tasks.each_hour]):
            await until(known, "the schedule is known")
        async with db.begin() as tx:
            long_ago = datetime.now(UTC) - timedelta(hours=30)
            await tx.execute(update(schedules).values(next_at=long_ago))
        async with self.working(db, tasks=[tasks.each_hour]):
            await until(ticked, "the missed ticks have become a job")

        async with db.read() as session:
            next_at, ticks = (
                await session.execute(select(schedules.c.next_at, schedules.c.ticks))
            ).one()
        assert (await _count(db), ticks) == (1, 1)
        assert utc(next_at) > datetime.now(UTC)


async def _count(db: Database) -> int:
    async with db.read() as session:
        return await session.scalar(select(func.count()).select_from(jobs.table)) or 0
