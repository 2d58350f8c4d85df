"""Paused queues and tasks, and schedules that are run now."""

# ruff: noqa: S101 - these are tests

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import State, operations
from roadworthy.testing.contract.setting import Log, Setting, add, get, reach, until
from roadworthy.testing.contract_tasks import each_hour, note, tell_who_asked

__all__ = ["Pauses"]


class Pauses(Setting):
    """What an operator stops begins no more, wherever jobs run, and goes on afterwards."""

    async def test_jobs_of_a_paused_task_wait_and_go_on(self, db: Database, log: Log) -> None:
        """And other tasks go on all the time."""
        async with db.begin() as tx:
            await operations.pause(tx, "task", note.name, by="tests")
        async with self.working(db):
            paused = await add(db, note.call(log=log.path, text="paused"))
            await reach(db, await add(db, tell_who_asked.call(log=log.path)), State.SUCCEEDED)
            record = await reach(db, paused, State.PARKED)
            assert (record.attempts, record.error_code) == (0, "PAUSED")

            async with db.begin() as tx:
                await operations.resume(tx, "task", note.name, by="tests")
            await reach(db, paused, State.SUCCEEDED)

        assert sum("paused" in line for line in log.lines()) == 1

    async def test_a_paused_queue_keeps_its_jobs_and_gives_them_out_later(
        self, db: Database, log: Log
    ) -> None:
        """And other queues go on all the time."""
        async with db.begin() as tx:
            await operations.pause(tx, "queue", "mail", by="tests")
        async with self.working(db):
            id_ = await add(db, note.options(queue="mail").call(log=log.path, text="waits"))
            await reach(db, await add(db, tell_who_asked.call(log=log.path)), State.SUCCEEDED)
            record = await get(db, id_)
            assert (record.state, record.attempts) == (State.QUEUED, 0)

            async with db.begin() as tx:
                await operations.resume(tx, "queue", "mail", by="tests")
            await reach(db, id_, State.SUCCEEDED)

    async def test_a_schedule_that_is_run_now_has_one_job_and_its_next_time(
        self, db: Database
    ) -> None:
        """However long that is away."""

        async def schedule() -> operations.ScheduleRecord | None:
            async with db.read() as session:
                return next(iter(await operations.scheduled(session)), None)

        async def known() -> bool:
            return await schedule() is not None

        async def ran() -> bool:
            async with db.read() as session:
                return bool(await jobs.browse(session, state=State.SUCCEEDED))

        async with self.working(db, tasks=[each_hour]):
            await until(known, "the schedule is known")
            before = await schedule()
            async with db.begin() as tx:
                assert await operations.run_now(tx, each_hour.name, by="tests")
            await until(ran, "the schedule was run now")
            after = await schedule()

        assert before is not None
        assert after is not None
        assert (after.next_at, after.ticks) == (before.next_at, before.ticks + 1)
        assert after.last_at is not None
