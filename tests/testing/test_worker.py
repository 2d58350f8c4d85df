"""`Worker` runs what is due, inline, by the code that runs it for users."""

import contextvars
import os
import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import jobs
from roadworthy.jobs import Backoff, Every, Job, Jobs, task
from roadworthy.problems import request_id
from roadworthy.problems.request_ids import current as current_request_id
from roadworthy.testing import Worker

MINUTE = timedelta(minutes=1)
ran: list[str] = []
mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="nothing")


@task
async def note(word: str) -> None:
    ran.append(word)


@task
async def note_and_follow(tx: AsyncSession, word: str) -> None:
    ran.append(word)
    await note.enqueue(tx, f"after {word}")


@task(attempts=3, backoff=Backoff(first=MINUTE, factor=2, most=timedelta(hours=1)))
async def fail(word: str) -> None:
    ran.append(word)
    raise ValueError(word)


@task
def on_a_thread() -> None:
    ran.append(threading.current_thread().name)


@task(runs_on="cpu", attempts=1)
def in_a_process(parent: int) -> None:
    if os.getpid() == parent:
        raise RuntimeError("in the process of the test")


@task
async def look_around() -> None:
    ran.extend([mine.get(), str(request_id())])


@task(attempts=9, backoff=Backoff(first=timedelta(0)))
async def write(tx: AsyncSession, job: Job) -> None:
    await tx.execute(text("INSERT INTO effects VALUES ('one')"))
    ran.append(f"attempt {job.attempt}")


@task
async def enqueue_itself(tx: AsyncSession) -> None:
    await enqueue_itself.enqueue(tx)


@task(schedule=Every(timedelta(hours=1)))
async def every_hour() -> None:
    ran.append("tick")


@task
async def find(job: Job) -> None:
    ran.append(job.find(str))


TASKS = [
    *(note, note_and_follow, fail, on_a_thread, in_a_process, look_around, write),
    *(enqueue_itself, find),
]


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


@pytest.fixture
def worker(db):
    return Worker(Jobs(db, tasks=TASKS, run=False))


@pytest.fixture
async def effects(db):
    async with db.begin() as tx:
        await tx.execute(text("CREATE TABLE effects (name VARCHAR(10))"))

    async def count() -> int:
        async with db.read() as tx:
            return await tx.scalar(text("SELECT count(*) FROM effects"))

    return count


async def test_it_runs_what_was_committed_in_the_order_it_was_enqueued(db, worker):
    words = [str(number) for number in range(30)]
    async with db.begin() as tx:
        await jobs.enqueue_many(tx, [note.call(word) for word in words])

    records = await worker.run_due()

    assert ran == words
    assert {record.status for record in records} == {"succeeded"}


async def test_a_frozen_clock_keeps_the_order(db, worker, clock):
    words = [str(number) for number in range(30)]
    async with db.begin() as tx:
        await jobs.enqueue_many(tx, [note.call(word) for word in words])

    await worker.run_due()

    assert ran == words


async def test_it_runs_nothing_of_a_transaction_that_was_rolled_back(db, worker):
    async with db.begin() as tx:
        await note.enqueue(tx, "phantom")
        await tx.rollback()

    assert await worker.run_due() == []


async def test_jobs_that_a_job_enqueues_run_too(db, worker):
    async with db.begin() as tx:
        await note_and_follow.enqueue(tx, "first")

    records = await worker.run_due()

    assert ran == ["first", "after first"]
    assert [record.task for record in records] == [note_and_follow.name, note.name]


async def test_run_one_runs_one(db, worker):
    async with db.begin() as tx:
        await jobs.enqueue_many(tx, [note.call("a"), note.call("b")])

    first, second, third = [await worker.run_one() for _ in range(3)]

    assert (first.arguments, second.arguments, third) == ('{"word":"a"}', '{"word":"b"}', None)


async def test_the_turn_of_a_job_counts_over_all_queues_and_tiers(db, worker, clock):
    async with db.begin() as tx:
        await note.options(queue="slow").enqueue(tx, "second")
        await note.options(priority=5).enqueue(tx, "first")
        await on_a_thread.enqueue(tx)

    await worker.run_due()

    assert ran == ["first", "second", "roadworthy-job"]


async def test_a_delayed_job_runs_when_the_clock_says_so(db, worker, clock):
    async with db.begin() as tx:
        await note.options(delay=timedelta(hours=1)).enqueue(tx, "later")

    clock.advance(timedelta(minutes=59))
    early = await worker.run_due()
    clock.advance(timedelta(minutes=1))
    on_time = await worker.run_due()

    assert (early, len(on_time), ran) == ([], 1, ["later"])


async def test_another_attempt_is_due_when_the_clock_says_so(db, worker, clock):
    async with db.begin() as tx:
        await fail.enqueue(tx, "x")

    statuses = [[record.status for record in await worker.run_due()]]
    for _ in range(2):
        statuses.append([record.status for record in await worker.run_due()])
        clock.advance(timedelta(hours=1))
        statuses.append([record.status for record in await worker.run_due()])

    assert statuses == [["retrying"], [], ["retrying"], [], ["dead"]]


async def test_hooks_are_called(db):
    failures = []
    worker = Worker(
        Jobs(db, tasks=TASKS, run=False, on_failure=lambda it: failures.append(it.error_code))
    )
    async with db.begin() as tx:
        await fail.enqueue(tx, "x")

    await worker.run_due()

    assert failures == ["VALUE_ERROR"]


async def test_parts_are_found(db):
    worker = Worker(Jobs(db, tasks=TASKS, parts=["the part"], run=False))
    async with db.begin() as tx:
        await find.enqueue(tx)

    await worker.run_due()

    assert ran == ["the part"]


async def test_a_task_for_processors_runs_in_another_process(db, worker):
    async with db.begin() as tx:
        await in_a_process.enqueue(tx, os.getpid())

    records = await worker.run_due()

    assert [record.status for record in records] == ["succeeded"]


async def test_a_job_sees_the_request_that_enqueued_it_and_nothing_of_the_test(db, worker):
    token = current_request_id.set("r-1")
    async with db.begin() as tx:
        await look_around.enqueue(tx)
    current_request_id.reset(token)
    mine.set("the test's")

    await worker.run_due()

    assert ran == ["nothing", "r-1"]


async def test_a_scheduled_task_runs_when_its_time_has_come(db, clock):
    worker = Worker(Jobs(db, tasks=[every_hour], run=False))

    before = await worker.run_due()
    clock.advance(timedelta(hours=1))
    after = await worker.run_due()
    clock.advance(timedelta(hours=5))
    await worker.run_due()

    assert (before, len(after), ran) == ([], 1, ["tick", "tick"])


async def test_a_task_that_enqueues_itself_is_noticed(db, worker):
    async with db.begin() as tx:
        await enqueue_itself.enqueue(tx)

    with pytest.raises(AssertionError, match="Does a task enqueue itself"):
        await worker.run_due(most=5)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("point", "left"), [("claimed", 0), ("ran", 1), ("committing", 0), ("committed", 1)]
)
async def test_a_crash_leaves_what_was_committed(db, worker, effects, point, left):
    async with db.begin() as tx:
        await write.enqueue(tx)

    with worker.crash_at(point):
        await worker.run_due()

    async with db.read() as tx:
        [job] = await jobs.browse(tx)
    assert (await effects(), job.state) == (left, "succeeded" if left else "running")


@pytest.mark.sampled
@pytest.mark.parametrize("point", ["claimed", "committing", "committed"])
async def test_after_a_crash_the_job_runs_again_when_the_lease_ends(
    db, worker, effects, clock, point
):
    async with db.begin() as tx:
        await write.enqueue(tx)
    with worker.crash_at(point):
        await worker.run_due()

    at_once = await worker.run_due()
    clock.advance(2 * worker.lease)
    await worker.run_due()

    assert (at_once, await effects()) == ([], 1)
    async with db.read() as tx:
        [job] = await jobs.browse(tx)
    assert job.state == "succeeded"


async def test_a_task_without_a_transaction_runs_twice_when_the_worker_dies_after_it(
    db, worker, clock
):
    async with db.begin() as tx:
        await note.enqueue(tx, "again")

    with worker.crash_at("ran"):
        await worker.run_due()
    clock.advance(2 * worker.lease)
    await worker.run_due()

    assert ran == ["again", "again"]


async def test_a_worker_that_comes_back_from_the_dead_changes_nothing(db, worker, clock, effects):
    other = Worker(Jobs(db, tasks=TASKS, run=False))
    async with db.begin() as tx:
        await write.enqueue(tx)
    claimed = await worker._claim()
    clock.advance(2 * worker.lease)
    await other.run_due()

    async with worker._runner() as runner:
        outcome = await runner.run(claimed)

    assert (outcome, await effects()) == ("lost", 1)


async def test_a_crash_that_does_not_come_fails_the_test(worker):
    with (
        pytest.raises(AssertionError, match="No job got to 'committing'"),
        worker.crash_at("committing"),
    ):
        await worker.run_due()
