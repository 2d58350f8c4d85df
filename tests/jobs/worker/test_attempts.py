"""Attempts are kept: which, in what form, how many, and until when."""

import re
import sqlite3
from datetime import timedelta

import pytest
import sqlalchemy as sa

from roadworthy import jobs
from roadworthy._internal.traces import MAX_TRACE, trace_of
from roadworthy.database import Database
from roadworthy.jobs import Backoff, GiveUp, Jobs, TryAgain, task
from roadworthy.jobs.table import history
from roadworthy.jobs.worker.housekeeping import Housekeeping
from roadworthy.testing import Clock, Worker

KEPT = jobs.metadata.tables["roadworthy_job_attempts"]
SECRET = "4111 1111 1111 1111"
DAY = timedelta(days=1)


@task(name="attempts.fail", attempts=2, backoff=Backoff(first=timedelta(0), most=DAY))
async def fail(what: str) -> None:
    if what == "cause":
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(SECRET) from error
    if what == "group":
        raise ExceptionGroup(SECRET, [ValueError(SECRET), KeyError(SECRET)])
    if what == "deep":
        await fail.function(what)
    if what == "give up":
        raise GiveUp(SECRET)
    if what == "odd":
        raise RuntimeError("a\0b")
    if what == "late":
        raise TryAgain


@task(name="attempts.wait", attempts=1000, backoff=Backoff(first=timedelta(0), most=DAY))
async def wait() -> None:
    raise TryAgain


@pytest.fixture
async def db(database_url):
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.create_all)
        yield db


async def run(db, call, *, times=5):
    worker = Worker(Jobs(db, tasks=[fail, wait]))
    async with db.begin() as tx:
        [added] = await jobs.enqueue_many(tx, [call])
    with Clock() as clock:
        for _ in range(times):
            await worker.run_one()
            clock.advance(DAY)
    return added.id


async def told(db, id_):
    async with db.read() as session:
        return await jobs.attempts(session, id_)


async def count(db):
    async with db.engine.connect() as connection:
        return (await connection.execute(sa.select(sa.func.count()).select_from(KEPT))).scalar()


@pytest.mark.parametrize("what", ["cause", "group", "give up"])
async def test_a_trace_has_types_and_frames_and_no_messages(db, what):
    id_ = await run(db, fail.call(what))

    for attempt in await told(db, id_):
        assert SECRET not in attempt.traceback
        assert "test_attempts.py" in attempt.traceback
        assert re.search(r'File "[^"]+", line \d+, in fail', attempt.traceback)


async def test_the_cause_of_a_failure_is_told_before_it(db):
    id_ = await run(db, fail.call("cause"))

    [attempt, _] = await told(db, id_)
    lines = attempt.traceback.splitlines()
    assert lines.index("KeyError") < lines.index("ValueError")


async def test_a_deep_recursion_is_cut_and_its_end_is_kept(db):
    id_ = await run(db, fail.call("deep"))

    [attempt, _] = await told(db, id_)
    assert len(attempt.traceback) <= MAX_TRACE
    assert "frames more" in attempt.traceback
    assert attempt.traceback.endswith("RecursionError")


def test_a_long_trace_keeps_its_end():
    error: Exception = ValueError()
    for _ in range(1000):
        error.__cause__, error = ValueError(), ValueError()
    members = [ExceptionGroup("", [ExceptionGroup("", [ValueError()])]) for _ in range(50)]

    assert len(trace_of(error)) <= MAX_TRACE
    assert len(trace_of(ExceptionGroup("", members))) <= MAX_TRACE


async def test_a_text_that_no_database_can_store_is_kept_in_another_spelling(db):
    id_ = await run(db, fail.call("odd"))

    [attempt, _] = await told(db, id_)
    assert attempt.error == "RuntimeError: a\\0b"
    assert history.storable("\ud800", 10) == "\\ud800"


async def test_the_attempts_before_a_success_are_kept_and_it_is_told_as_the_last(db):
    id_ = await run(db, fail.call("late"), times=1)
    async with db.engine.begin() as connection:
        changed = jobs.table.update().values(arguments='{"what": "nothing"}')
        await connection.execute(changed)
    with Clock() as clock:
        clock.advance(DAY)
        await Worker(Jobs(db, tasks=[fail])).run_due()

    attempts = await told(db, id_)
    assert [(each.attempt, each.error_code) for each in attempts] == [(1, "TRY_AGAIN"), (2, None)]


async def test_retrying_a_dead_job_keeps_what_was_tried_before(db):
    id_ = await run(db, fail.call("give up"))
    async with db.begin() as tx:
        await jobs.retry(tx, id_)
    with Clock() as clock:
        clock.advance(9 * DAY)
        await Worker(Jobs(db, tasks=[fail])).run_due()

    assert [each.attempt for each in await told(db, id_)] == [1, 1]


async def test_of_a_job_that_only_waits_the_last_attempts_are_kept(db, monkeypatch):
    monkeypatch.setattr(history, "MAX_KEPT", 3)
    id_ = await run(db, wait.call(), times=5)

    assert [each.attempt for each in await told(db, id_)] == [3, 4, 5]
    assert await count(db) == 3


async def test_attempts_are_removed_with_their_job(db):
    await run(db, fail.call("give up"))
    assert await count(db) == 1
    work = Jobs(db, tasks=[fail], keep_dead=timedelta(0)).work
    worker = Worker(Jobs(db, tasks=[fail]))
    housekeeping = Housekeeping(work, worker._ledger)

    with Clock() as clock:
        clock.advance(30 * DAY)
        await housekeeping.count_and_sweep()

    assert await count(db) == 0


async def test_where_sqlite_does_not_cascade_they_are_removed_too(tmp_path):
    """A plain engine of SQLAlchemy's leaves foreign keys off"""
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'plain.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(jobs.metadata.create_all)
        await fail.enqueue(connection, "give up")
    worker = Worker(Jobs(engine, tasks=[fail]))
    await worker.run_due()
    work = Jobs(engine, tasks=[fail], keep_dead=timedelta(0)).work
    housekeeping = Housekeeping(work, worker._ledger)

    with Clock() as clock:
        clock.advance(30 * DAY)
        await housekeeping.count_and_sweep()
    await engine.dispose()

    with sqlite3.connect(tmp_path / "plain.db") as plain:
        assert plain.execute("SELECT count(*) FROM roadworthy_job_attempts").fetchall() == [(0,)]
    plain.close()


@pytest.mark.parametrize(
    ("statement", "lacks"),
    [
        ("DROP TABLE roadworthy_job_attempts", "table roadworthy_job_attempts"),
        ("ALTER TABLE roadworthy_jobs DROP COLUMN progress", "column roadworthy_jobs.progress"),
    ],
)
async def test_a_database_from_before_is_refused_with_what_to_type(db, statement, lacks):
    async with db.engine.begin() as connection:
        await connection.execute(sa.text(statement))

    with pytest.raises(RuntimeError, match=f"no {re.escape(lacks)}.*alembic upgrade head"):
        async with Jobs(db, tasks=[fail]):
            pass
