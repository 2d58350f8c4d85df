"""What is left when a worker dies, is taken for dead, or stops."""

# ruff: noqa: S101, D102 - these are tests

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import State, Task
from roadworthy.jobs.table.tables import utc
from roadworthy.testing import contract_tasks as tasks
from roadworthy.testing.contract.setting import Log, Setting, add, effects_of, get, reach, until

__all__ = ["Crashes"]


class Crashes(Setting):
    """What is left of a worker that is killed with SIGKILL, by the job it runs."""

    @pytest.mark.parametrize("writing", [tasks.write, tasks.complete], ids=lambda task: task.name)
    @pytest.mark.parametrize(
        ("moment", "attempts"),
        [("in the task", 2), ("before the commit", 2), ("after the commit", 1)],
    )
    async def test_effects_in_the_transaction_of_a_job_happen_once(  # noqa: PLR0917 - fixtures
        self,
        db: Database,
        database_url: str,
        log: Log,
        writing: Task[...],
        moment: tasks.Moment,
        attempts: int,
    ) -> None:
        id_ = await add(db, writing.call(log.path, die=moment))
        with self.worker_process(database_url):
            await log.has("dying")

        async with self.working(db):
            record = await reach(db, id_, State.SUCCEEDED)

        assert (await effects_of(db), record.attempts) == (["written"], attempts)

    async def test_a_job_that_kills_its_worker_each_time_is_dead_in_the_end(
        self, db: Database, database_url: str, log: Log
    ) -> None:
        id_ = await add(db, tasks.die.call(log.path))
        with self.worker_process(database_url):
            await log.has("dying")

        async with self.working(db):
            record = await reach(db, id_, State.DEAD)

        assert (record.error_code, log.lines().count("dying")) == ("WORKER_LOST", 1)

    async def test_a_living_worker_takes_over_from_one_that_was_killed(
        self, db: Database, database_url: str, log: Log
    ) -> None:
        with self.worker_process(database_url):
            id_ = await add(db, tasks.wait.call(log.path, "job"))
            await log.has("job began")
            async with self.working(db, tasks=[tasks.note]):
                await reach(db, await add(db, tasks.note.call(log.path, "two")), State.SUCCEEDED)

        log.allow("job")
        async with self.working(db):
            record = await reach(db, id_, State.SUCCEEDED)

        assert (record.attempts, log.lines().count("job began")) == (2, 2)

    async def test_a_long_job_keeps_its_lease(self, db: Database, log: Log) -> None:
        async def extended() -> bool:
            async with db.read() as session:
                until_ = await session.scalar(select(jobs.table.c.leased_until))
            return until_ is not None and utc(until_) > began + 3 * self.lease

        async with self.working(db), self.working(db):
            id_ = await add(db, tasks.wait.call(log.path, "job"))
            await log.has("job began")
            began = datetime.now(UTC)
            await until(extended, "the lease was extended")
            log.allow("job")
            record = await reach(db, id_, State.SUCCEEDED)

        assert (record.attempts, log.lines()) == (1, ["job began", "job ended"])

    @pytest.mark.parametrize(
        "waiting", [tasks.wait, tasks.wait_with_tx], ids=lambda task: task.name
    )
    async def test_a_worker_that_was_taken_for_dead_changes_nothing(
        self, db: Database, log: Log, waiting: Task[...]
    ) -> None:
        async with self.working(db):
            id_ = await add(db, waiting.call(log.path, "job"))
            await log.has("job began")
            await _take_over(db, id_)
            log.allow("job")
            await reach(db, await add(db, tasks.note.call(log.path, "later")), State.SUCCEEDED)
        record = await get(db, id_)

        assert (record.state, record.worker, record.finished_at) == ("running", "another", None)
        assert await effects_of(db) == []

    async def test_a_worker_that_stops_gives_back_what_it_runs(
        self, db: Database, log: Log
    ) -> None:
        async with self.working(db):
            id_ = await add(db, tasks.wait.call(log.path, "job"))
            await log.has("job began")
        given_back = await get(db, id_)

        log.allow("job")
        async with self.working(db):
            record = await reach(db, id_, State.SUCCEEDED)

        assert (given_back.state, given_back.attempts, given_back.worker) == ("queued", 0, None)
        assert (record.attempts, log.lines().count("job ended")) == (1, 1)

    async def test_a_worker_that_stops_undoes_the_transaction_of_what_it_gives_back(
        self, db: Database, log: Log
    ) -> None:
        async with self.working(db):
            id_ = await add(db, tasks.wait_with_tx.call(log.path, "job"))
            await log.has("job began")
        given_back = await get(db, id_)

        assert (given_back.state, given_back.attempts, await effects_of(db)) == ("queued", 0, [])


async def _take_over(db: Database, id_: str) -> None:
    """Take a job's lease, as another worker does once it has ended."""
    until_ = datetime.now(UTC) + timedelta(hours=1)
    taken = update(jobs.table).where(jobs.table.c.id == id_)
    async with db.begin() as tx:
        await tx.execute(taken.values(worker="another", leased_until=until_))
