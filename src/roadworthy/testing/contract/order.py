"""Which job is next, and which is the only one."""

# ruff: noqa: S101, D102 - these are tests

import asyncio
from datetime import UTC, datetime, timedelta

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Enqueued, State
from roadworthy.testing import contract_tasks as tasks
from roadworthy.testing.contract.setting import Log, Setting, add, reach

__all__ = ["Order"]

HOUR = timedelta(hours=1)


class Order(Setting):
    """Which job is next, and which is the only one."""

    async def test_jobs_run_in_their_order_and_more_urgent_ones_first(
        self, db: Database, log: Log
    ) -> None:
        calls = [
            tasks.note.options(priority=-10).call(log.path, "4"),
            tasks.note.call(log.path, "2"),
            tasks.note.call(log.path, "3"),
            tasks.note.options(priority=10).call(log.path, "1"),
        ]
        async with db.begin() as tx:
            await jobs.enqueue_many(tx, calls)

        async with self.working(db, at_a_time=1):
            await log.has("1", "2", "3", "4")

        assert log.lines() == ["1", "2", "3", "4"]

    async def test_a_job_that_has_waited_long_goes_before_urgent_ones(
        self, db: Database, log: Log
    ) -> None:
        urgent = tasks.note.options(priority=60)
        long_ago = tasks.note.options(run_at=datetime.now(UTC) - 2 * HOUR)
        async with db.begin() as tx:
            await urgent.enqueue(tx, log.path, "urgent")
            await long_ago.enqueue(tx, log.path, "long ago")

        async with self.working(db, at_a_time=1):
            await log.has("urgent", "long ago")

        assert log.lines() == ["long ago", "urgent"]

    async def test_every_queue_of_a_job_is_served(self, db: Database, log: Log) -> None:
        async with self.working(db):
            mail = tasks.note.options(queue="mail").call(log.path, "mail")
            await reach(db, await add(db, mail), State.SUCCEEDED)

    async def test_only_one_unfinished_job_of_a_key(self, db: Database, log: Log) -> None:
        async with self.working(db):
            first = await _enqueue(db, log)
            await log.has("began")
            second = await _enqueue(db, log)
            log.allow("go")
            await reach(db, first.id, State.SUCCEEDED)
            third = await _enqueue(db, log)
            await reach(db, third.id, State.SUCCEEDED)

        assert (second.id, second.created, third.created) == (first.id, False, True)
        assert log.lines() == ["began", "began"]

    async def test_only_one_queued_job_of_a_key(self, db: Database, log: Log) -> None:
        async def enqueue() -> Enqueued:
            async with db.begin() as tx:
                return await tasks.one_queued.enqueue(tx, log.path)

        waiting = [await enqueue(), await enqueue()]
        async with self.working(db):
            await log.has("began")
            running = await enqueue()
            log.allow("go")
            await reach(db, running.id, State.SUCCEEDED)

        assert [one.created for one in (*waiting, running)] == [True, False, True]

    async def test_one_of_many_that_enqueue_the_same_at_a_time_adds_it(
        self, db: Database, log: Log
    ) -> None:
        log.allow("go")

        async with self.working(db):
            added = await asyncio.gather(*(_enqueue(db, log, "the same") for _ in range(8)))
            ids = {one.id for one in added if one.created}
            for id_ in ids:
                await reach(db, id_, State.SUCCEEDED)

        # Some may have been enqueued when another had ended.
        assert len(log.lines()) == len(ids)
        assert {one.id for one in added} == ids

    async def test_of_open_transactions_that_enqueue_the_same_one_adds_it(
        self, db: Database, log: Log
    ) -> None:
        added = await asyncio.gather(*(_enqueue(db, log, "the same") for _ in range(8)))

        assert [one.created for one in added].count(True) == 1
        assert len({one.id for one in added}) == 1


async def _enqueue(db: Database, log: Log, key: str | None = None) -> Enqueued:
    sending = tasks.one_unfinished.options(unique_key=key)
    async with db.begin() as tx:
        return await sending.enqueue(tx, log.path)
