"""What is kept of attempts."""

# ruff: noqa: S101 - these are tests

from typing import Any

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import AttemptRecord, State
from roadworthy.testing.contract.setting import Log, Setting, add, reach
from roadworthy.testing.contract_tasks import die, fail, fail_on_a_processor, note, wait

__all__ = ["History", "attempts", "rows"]


class History(Setting):
    """Every attempt can be told of afterwards."""

    async def test_each_failed_attempt_is_kept_with_its_worker_and_its_frames(
        self, db: Database, log: Log
    ) -> None:
        """Without messages, which may hold what users have sent."""
        async with self.working(db):
            id_ = await add(db, fail.call(log=log.path))
            record = await reach(db, id_, State.DEAD)

        kept = await attempts(db, id_)
        assert [attempt.attempt for attempt in kept] == [1, 2, 3]
        for attempt in kept:
            assert (attempt.error_code, attempt.error) == (record.error_code, record.error)
            assert attempt.worker
            assert attempt.ended_at is not None
            assert attempt.began_at <= attempt.ended_at
            assert "in fail" in str(attempt.traceback)
            assert str(attempt.traceback).endswith("ValueError")
            assert "always fails" not in str(attempt.traceback)

    async def test_an_attempt_in_a_worker_process_tells_the_frames_there(
        self, db: Database, log: Log
    ) -> None:
        """And not only those of the process that waited for it."""
        async with self.working(db):
            id_ = await add(db, fail_on_a_processor.call(log=log.path))
            await reach(db, id_, State.DEAD)

        [attempt] = await attempts(db, id_)
        assert "in fail_on_a_processor" in str(attempt.traceback)
        assert "secret" not in str(attempt.traceback)

    async def test_an_attempt_that_succeeds_at_once_is_told_and_writes_no_row(
        self, db: Database, log: Log
    ) -> None:
        """The row of the job has all of it."""
        async with self.working(db):
            id_ = await add(db, note.call(log=log.path, text="hello"))
            record = await reach(db, id_, State.SUCCEEDED)

        [attempt] = await attempts(db, id_)
        assert (attempt.attempt, attempt.error_code) == (1, None)
        assert (attempt.began_at, attempt.ended_at) == (record.started_at, record.finished_at)
        assert await rows(db) == []

    async def test_the_attempt_of_a_dead_worker_is_kept(
        self, db: Database, database_url: str, log: Log
    ) -> None:
        """With the code that says so, and until when it may have run."""
        with self.worker_process(database_url):
            id_ = await add(db, die.call(log=log.path))
            await log.has("dying")
        async with self.working(db):
            await reach(db, id_, State.DEAD)

        [attempt] = await attempts(db, id_)
        assert (attempt.attempt, attempt.error_code) == (1, "WORKER_LOST")
        assert attempt.worker

    async def test_an_attempt_that_was_cancelled_or_given_back_is_kept(
        self, db: Database, log: Log
    ) -> None:
        """It began and ended, and did not fail."""
        async with self.working(db):
            given_back = await add(db, wait.call(log=log.path, name="one"))
            cancelled = await add(db, wait.call(log=log.path, name="two"))
            await log.has("one began", "two began")
            running = await attempts(db, given_back)
            async with db.begin() as tx:
                await jobs.cancel(tx, cancelled)
            await reach(db, cancelled, State.CANCELLED)

        assert [(each.attempt, each.ended_at) for each in running] == [(1, None)]
        assert [each.error_code for each in await attempts(db, given_back)] == ["RELEASED"]
        assert [each.error_code for each in await attempts(db, cancelled)] == ["CANCELLED"]


async def attempts(db: Database, id_: str) -> list[AttemptRecord]:
    """Return the attempts at a job."""
    async with db.read() as session:
        return await jobs.attempts(session, id_)


async def rows(db: Database) -> list[Any]:
    """Return the rows of attempts."""
    async with db.read_engine.connect() as connection:
        kept = jobs.metadata.tables["roadworthy_job_attempts"]
        return list(await connection.execute(kept.select()))
