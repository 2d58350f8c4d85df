"""What becomes of a job: it runs, fails, is repeated, is dead, is cancelled."""

# ruff: noqa: S101, PLR2004, D102 - these are tests

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from opentelemetry import trace
from sqlalchemy import update

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import State, Task
from roadworthy.problems import request_id
from roadworthy.problems.request_ids import current as current_request_id
from roadworthy.testing import contract_tasks as tasks
from roadworthy.testing.contract.setting import Log, Setting, add, effects_of, get, reach, until

__all__ = ["Outcomes"]


class Outcomes(Setting):
    """What becomes of a job."""

    async def test_a_job_runs_once_its_transaction_has_committed(
        self, db: Database, log: Log
    ) -> None:
        async with self.working(db):
            async with db.begin() as tx:
                added = await tasks.note.enqueue(tx, log.path, "it ran")
                await tx.flush()
                before = log.lines()
            record = await reach(db, added.id, State.SUCCEEDED)

        assert (before, log.lines()) == ([], ["it ran"])
        assert (record.attempts, record.error_code) == (1, None)
        assert record.started_at is not None
        assert record.finished_at is not None

    async def test_a_job_that_waited_for_a_worker_runs(self, db: Database, log: Log) -> None:
        id_ = await add(db, tasks.note.call(log.path, "it ran"))

        async with self.working(db):
            await reach(db, id_, State.SUCCEEDED)

        assert log.lines() == ["it ran"]

    async def test_a_job_of_a_transaction_that_was_rolled_back_never_runs(
        self, db: Database, log: Log
    ) -> None:
        async with self.working(db):
            async with db.begin() as tx:
                phantom = await tasks.note.enqueue(tx, log.path, "phantom")
                await tx.rollback()
            await reach(db, await add(db, tasks.note.call(log.path, "later")), State.SUCCEEDED)

        assert log.lines() == ["later"]
        async with db.read() as session:
            assert await jobs.get(session, phantom.id) is None

    async def test_many_jobs_run_once_each_also_with_two_engines(
        self, db: Database, log: Log
    ) -> None:
        words = [str(number) for number in range(100)]

        async with self.working(db), self.working(db):
            async with db.begin() as tx:
                await jobs.enqueue_many(tx, [tasks.note.call(log.path, word) for word in words])
            await log.has(*words)

        assert sorted(log.lines()) == sorted(words)

    async def test_a_job_that_fails_is_repeated_after_a_pause_and_dead_in_the_end(
        self, db: Database, log: Log
    ) -> None:
        id_ = await add(db, tasks.fail.call(log.path))

        async with self.working(db):
            await log.has("on_dead 3 VALUE_ERROR no more")
            record = await get(db, id_)

        times = [float(line.split()[-1]) for line in log.lines() if line.startswith("attempt")]
        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert (record.state, record.attempts, record.error_code) == ("dead", 3, "VALUE_ERROR")
        assert len(pauses) == 2
        assert min(pauses) >= tasks.DELAY.total_seconds() / 2

    async def test_the_hooks_hear_of_every_attempt_that_failed(
        self, db: Database, log: Log
    ) -> None:
        await add(db, tasks.fail.call(log.path))

        async with self.working(db):
            await log.has("on_dead 3 VALUE_ERROR no more")

        assert [line for line in log.lines() if line.startswith("on_")] == [
            "on_failure 1 VALUE_ERROR again",
            "on_failure 2 VALUE_ERROR again",
            "on_failure 3 VALUE_ERROR no more",
            "on_dead 3 VALUE_ERROR no more",
        ]

    async def test_the_handler_of_a_death_writes_in_its_transaction(
        self, db: Database, log: Log
    ) -> None:
        id_ = await add(db, tasks.fail.call(log.path))

        async with self.working(db):
            await reach(db, id_, State.DEAD)

        assert await effects_of(db) == ["buried"]

    async def test_a_task_that_gives_up_is_not_repeated(self, db: Database, log: Log) -> None:
        id_ = await add(db, tasks.give_up.call(log.path))

        async with self.working(db):
            record = await reach(db, id_, State.DEAD)

        assert (record.attempts, record.error_code) == (1, "GAVE_UP")

    async def test_a_task_says_when_to_try_again(self, db: Database, log: Log) -> None:
        id_ = await add(db, tasks.try_again.call(log.path))

        async with self.working(db):
            record = await reach(db, id_, State.SUCCEEDED)

        first, second = (float(line.split()[-1]) for line in log.lines()[::2])
        assert second - first >= tasks.DELAY.total_seconds()
        assert record.attempts == 2

    async def test_a_dead_job_can_be_tried_once_more(self, db: Database, log: Log) -> None:
        id_ = await add(db, tasks.fail_until_allowed.call(log.path))

        async with self.working(db):
            await reach(db, id_, State.DEAD)
            log.allow("go")
            async with db.begin() as tx:
                retried = await jobs.retry(tx, id_)
            record = await reach(db, id_, State.SUCCEEDED)

        assert (retried, record.attempts) == (True, 1)

    async def test_a_job_that_waits_can_be_cancelled(self, db: Database, log: Log) -> None:
        call = tasks.note.options(delay=timedelta(hours=1)).call(log.path, "cancelled")
        id_ = await add(db, call)

        async with self.working(db):
            async with db.begin() as tx:
                cancelled = await jobs.cancel(tx, id_)
            record = await get(db, id_)

        assert (cancelled, record.state, record.error_code) == (True, "cancelled", "CANCELLED")

    @pytest.mark.parametrize(
        "waiting",
        [tasks.wait, tasks.wait_with_tx, tasks.wait_on_a_thread, tasks.wait_on_a_processor],
        ids=lambda task: task.name,
    )
    async def test_a_job_that_runs_can_be_cancelled(
        self, db: Database, log: Log, waiting: Task[...]
    ) -> None:
        id_ = await add(db, waiting.call(log.path, "job"))

        async with self.working(db):
            await log.has("job began")
            async with db.begin() as tx:
                cancelled = await jobs.cancel(tx, id_)
            record = await reach(db, id_, State.CANCELLED)

        assert (cancelled, record.error_code) == (True, "CANCELLED")
        assert await effects_of(db) == []

    async def test_an_unknown_task_waits_for_a_worker_that_knows_it(
        self, db: Database, log: Log
    ) -> None:
        id_ = await add(db, tasks.note.call(log.path, "it ran"))

        async with self.working(db, tasks=[task for task in tasks.TASKS if task != tasks.note]):
            parked = await reach(db, id_, State.PARKED)
        async with self.working(db):
            done = await reach(db, id_, State.SUCCEEDED)

        assert (parked.attempts, parked.error_code, done.attempts) == (0, "UNKNOWN_TASK", 1)

    async def test_a_version_from_the_future_waits_for_a_worker_that_knows_it(
        self, db: Database, log: Log
    ) -> None:
        async with db.begin() as tx:
            added = await tasks.note.enqueue(tx, log.path, "it ran")
            await tx.execute(update(jobs.table).values(version=2))

        async with self.working(db):
            record = await reach(db, added.id, State.PARKED)

        assert (record.attempts, log.lines()) == (0, [])

    @pytest.mark.parametrize("arguments", ["}{", '{"log": 1}'])
    async def test_arguments_that_cannot_be_read_are_not_tried_again(
        self, db: Database, log: Log, arguments: str
    ) -> None:
        async with db.begin() as tx:
            added = await tasks.note.enqueue(tx, log.path, "it ran")
            await tx.execute(update(jobs.table).values(arguments=arguments))

        async with self.working(db):
            record = await reach(db, added.id, State.DEAD)

        assert (record.attempts, record.error_code) == (1, "BAD_ARGUMENTS")

    async def test_progress_can_be_watched(self, db: Database, log: Log) -> None:
        id_ = await add(db, tasks.report.call(log.path))

        async def told() -> bool:
            record = await get(db, id_)
            return (record.progress, record.progress_note) == (0.25, "a quarter")

        async with self.working(db):
            await until(told, "a quarter is done")
            log.allow("go")
            await reach(db, id_, State.SUCCEEDED)

    async def test_a_job_belongs_to_the_request_that_enqueued_it(
        self, db: Database, log: Log
    ) -> None:
        token = current_request_id.set("r-1")
        with trace.use_span(_span(trace_id=0xABC)):
            id_ = await add(db, tasks.tell_who_asked.call(log.path))
        current_request_id.reset(token)

        async with self.working(db):
            record = await reach(db, id_, State.SUCCEEDED)

        assert log.lines() == ["r-1 r-1 abc"]
        assert (record.request_id, request_id()) == ("r-1", None)

    async def test_a_task_finds_the_parts(self, db: Database, log: Log) -> None:
        id_ = await add(db, tasks.greet.call(log.path))

        async with self.working(db):
            await reach(db, id_, State.SUCCEEDED)

        assert log.lines() == ["hello"]

    async def test_a_delayed_job_does_not_run_before_its_time(self, db: Database, log: Log) -> None:
        run_at = datetime.now(UTC) + timedelta(seconds=0.4)
        at = await add(db, tasks.note.options(run_at=run_at).call(log.path, "at"))
        after = await add(
            db, tasks.note.options(delay=timedelta(seconds=0.4)).call(log.path, "after")
        )

        async with self.working(db):
            records = [await reach(db, id_, State.SUCCEEDED) for id_ in (at, after)]

        assert [r.started_at is not None and r.started_at >= run_at for r in records] == [True] * 2


def _span(*, trace_id: int) -> trace.NonRecordingSpan:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.NonRecordingSpan(
        trace.SpanContext(trace_id, 1, is_remote=False, trace_flags=flags)
    )
