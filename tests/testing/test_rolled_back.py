"""`rolled_back` undoes a whole test: units, requests, jobs, on each database and driver."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from roadworthy import jobs
from roadworthy.database import Database, Read, Tx, on_commit
from roadworthy.jobs import Job, Jobs, State, task
from roadworthy.lifespan import lifespan
from roadworthy.problems import Problem
from roadworthy.testing import Clock, Worker, assert_enqueued, enqueued, rolled_back

INSERT = text("INSERT INTO effects VALUES (:name)")
told: list[str] = []


@task
async def write(tx: AsyncSession, name: str) -> None:
    await tx.execute(INSERT, {"name": name})
    on_commit(tx, lambda: told.append(name))


@task
async def write_and_follow(tx: AsyncSession, name: str) -> None:
    await tx.execute(INSERT, {"name": name})
    await write.enqueue(tx, f"after {name}")


@task(attempts=1)
async def write_and_fail(tx: AsyncSession, name: str) -> None:
    await tx.execute(INSERT, {"name": name})
    raise ValueError(name)


@task
async def complete(job: Job, name: str) -> None:
    async with job.completing() as tx:
        await tx.execute(INSERT, {"name": name})


TASKS = [write, write_and_follow, write_and_fail, complete]


@pytest.fixture(params=["default", "psycopg"])
def url(request: pytest.FixtureRequest, database_url: str) -> str:
    if request.param == "default":
        return database_url
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one driver")
    psycopg = make_url(database_url).set(drivername="postgresql+psycopg")
    return psycopg.render_as_string(hide_password=False)


@pytest.fixture
async def closed(url: str) -> Database:
    """Return a database that has its tables, and is not open."""
    db = Database(url, max_wait=timedelta(seconds=1))
    async with db, db.engine.begin() as connection:
        await connection.run_sync(jobs.metadata.create_all)
        await connection.execute(text("CREATE TABLE effects (name VARCHAR(40) NOT NULL UNIQUE)"))
    return db


@pytest.fixture
async def db(closed: Database) -> AsyncIterator[Database]:
    async with closed:
        yield closed


async def names(db: Database) -> list[str]:
    async with db.read() as tx:
        return list((await tx.scalars(text("SELECT name FROM effects ORDER BY name"))).all())


async def insert(db: Database, *rows: str, then: BaseException | None = None) -> None:
    async with db.begin() as tx:
        for name in rows:
            await tx.execute(INSERT, {"name": name})
        if then is not None:
            await write.enqueue(tx, "never")
            raise then


async def is_empty(db: Database) -> bool:
    return await names(db) == [] and await enqueued(db) == []


async def test_commits_and_jobs_are_seen_within_and_gone_afterwards(db: Database) -> None:
    told.clear()
    worker = Worker(Jobs(db, tasks=TASKS, run=False))
    with Clock() as clock:
        async with rolled_back(db):
            async with db.begin() as tx:
                await tx.execute(INSERT, {"name": "route"})
                await write.options(delay=timedelta(hours=1)).enqueue(tx, "job")
                on_commit(tx, lambda: told.append("route"))
                assert told == []
            assert told == ["route"]
            await assert_enqueued(db, write.call("job"))
            assert await worker.run_due() == []
            clock.advance(timedelta(hours=1))
            assert [job.status for job in await worker.run_due()] == ["succeeded"]
            assert told == ["route", "job"]
            assert await names(db) == ["job", "route"]
    assert await is_empty(db)
    assert await worker.run_due() == []


async def test_jobs_of_jobs_and_failures_are_as_without(db: Database) -> None:
    worker = Worker(Jobs(db, tasks=TASKS, run=False))
    async with rolled_back(db):
        async with db.begin() as tx:
            await write_and_follow.enqueue(tx, "one")
            await write_and_fail.enqueue(tx, "lost")
            await complete.enqueue(tx, "whole")
        ran = await worker.run_due()
        assert [job.status for job in ran] == ["succeeded", "dead", "succeeded", "succeeded"]
        assert await names(db) == ["after one", "one", "whole"]
    assert await is_empty(db)


async def test_a_unit_that_fails_takes_back_its_own_only(db: Database) -> None:
    async with rolled_back(db):
        await insert(db, "kept")
        with pytest.raises(Problem) as refused:
            await insert(db, "other", "kept")
        assert refused.value.status == 409
        with pytest.raises(LookupError):
            await insert(db, "another", then=LookupError())
        async with db.begin() as tx:
            with pytest.raises(DBAPIError):
                async with tx.begin_nested():
                    await tx.execute(INSERT, {"name": "kept"})
            await tx.execute(INSERT, {"name": "second"})
        assert await names(db) == ["kept", "second"]
        assert await enqueued(db) == []
    assert await is_empty(db)


async def test_engines_write_too_and_readers_are_refused(db: Database) -> None:
    async with rolled_back(db):
        async with db.engine.begin() as connection:
            await connection.execute(INSERT, {"name": "engine"})
        async with db.engine.connect() as connection:
            await connection.execute(INSERT, {"name": "without a commit"})
        with pytest.raises(DBAPIError):
            async with db.read_engine.begin() as connection:
                await connection.execute(INSERT, {"name": "reader"})
        async with db.apart() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM effects")) == 1
        await db.ping(writes=True)
        async with db.begin(isolation="SERIALIZABLE") as tx:
            await tx.execute(INSERT, {"name": "strict"})
        assert await names(db) == ["engine", "strict"]
    assert await is_empty(db)
    await insert(db, "for good")
    assert await names(db) == ["for good"]


@pytest.mark.sampled
async def test_an_application_opens_its_database_within(closed: Database) -> None:
    app = FastAPI(lifespan=lifespan(closed, service := Jobs(closed, tasks=TASKS, run=False)))

    @app.post("/{name}", status_code=201)
    async def add(name: str, tx: Tx) -> None:
        await write.enqueue(tx, name)

    @app.get("/")
    async def show(tx: Read) -> int:
        return (await tx.scalar(text("SELECT count(*) FROM effects"))) or 0

    for _ in range(2):  # the second test finds nothing of the first
        async with rolled_back(closed), app.router.lifespan_context(app):
            client = AsyncClient(transport=ASGITransport(app=app), base_url="http://test")
            answers = await asyncio.gather(*(client.post(f"/{n}") for n in range(5)))
            assert {answer.status_code for answer in answers} == {201}
            ran = await Worker(service).run_due()
            assert [job.state for job in ran] == [State.SUCCEEDED] * 5
            assert (await client.get("/")).json() == 5
    async with closed:
        assert await is_empty(closed)


async def test_a_test_that_fails_is_rolled_back(db: Database) -> None:
    async def fails() -> None:
        async with rolled_back(db):
            await insert(db, "one")
            raise AssertionError

    with pytest.raises(AssertionError):
        await fails()
    assert await is_empty(db)


@task
def write_in_a_thread(tx: Session, name: str) -> None:
    tx.execute(INSERT, {"name": name})


@pytest.mark.sampled
async def test_jobs_that_run_beside_the_test_do_not_notice_its_end(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """They may be in the middle of a unit, whose savepoint would be gone with the test."""
    beside = Jobs(db, tasks=[write, write_in_a_thread])
    async with beside:
        for number in range(25):
            async with rolled_back(db):
                async with db.begin() as tx:
                    await write.enqueue(tx, f"a{number}")
                    await write_in_a_thread.enqueue(tx, f"b{number}")
                await asyncio.sleep(0.002 * (number % 7))
        await insert(db, "really")
        async with db.begin() as tx:
            await write.enqueue(tx, "after the tests")
        async with asyncio.timeout(10):
            while await names(db) != ["after the tests", "really"]:  # noqa: ASYNC110 - a job's
                await asyncio.sleep(0.01)
    told = [each for each in caplog.records if each.levelno > logging.INFO]
    assert [
        each.getMessage() for each in told if "lease of this one" not in each.getMessage()
    ] == []


async def test_who_keeps_the_connection_holds_up_the_end_for_a_bounded_time(db: Database) -> None:
    async def keep(begun: asyncio.Event) -> None:
        async with db.engine.begin() as connection:
            await connection.execute(INSERT, {"name": "kept"})
            begun.set()
            await asyncio.sleep(60)

    begun = asyncio.Event()
    async with rolled_back(db):
        keeping = asyncio.create_task(keep(begun))
        await begun.wait()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert await is_empty(db)


async def test_who_is_cancelled_in_the_middle_spoils_nothing(db: Database) -> None:
    slow = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        if db.url.drivername.startswith("sqlite")
        else "SELECT pg_sleep(30)"
    )

    async def wait() -> None:
        async with db.begin() as tx:
            await tx.execute(INSERT, {"name": "cancelled"})
            await tx.execute(text(slow))

    async with rolled_back(db):
        await insert(db, "before")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), 0.2)
        await insert(db, "later")
        assert await names(db) == ["before", "later"]
    assert await is_empty(db)


async def test_constraints_that_wait_are_judged_at_each_commit(db: Database) -> None:
    if db.url.drivername.startswith("sqlite"):
        pytest.skip("SQLite judges them at the end of the outermost transaction")
    table = "CREATE TABLE late (n INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    async with rolled_back(db):
        async with db.engine.begin() as connection:
            await connection.execute(text(table))
        for _ in range(2):
            async with db.begin() as tx:
                await tx.execute(text("DELETE FROM late"))
                await tx.execute(text("INSERT INTO late VALUES (1), (2)"))
                await tx.execute(text("UPDATE late SET n = 3 - n"))
            with pytest.raises(Problem) as refused:
                async with db.begin() as tx:
                    await tx.execute(text("INSERT INTO late VALUES (1)"))
            assert refused.value.status == 409
        async with db.read() as tx:
            assert await tx.scalar(text("SELECT count(*) FROM late")) == 2


async def test_two_units_at_once_are_told_what_to_write(db: Database) -> None:
    async with rolled_back(db):
        async with db.begin() as tx:
            await tx.execute(INSERT, {"name": "one"})
            with pytest.raises(RuntimeError, match="has one connection") as refused:
                await names(db)
            assert "async with db.begin() as tx:" in str(refused.value)
            with pytest.raises(RuntimeError, match="has one connection"):
                await asyncio.create_task(names(db))
        assert await names(db) == ["one"]


async def test_another_loop_is_told_what_to_write(db: Database) -> None:
    failed: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(names(db))
        except RuntimeError as error:
            failed.append(error)

    async with rolled_back(db):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert "ASGITransport(app=app)" in str(failed[0])
        assert await names(db) == []


async def test_autocommit_and_a_second_one_are_refused(db: Database) -> None:
    async with rolled_back(db):
        with pytest.raises(RuntimeError, match="AUTOCOMMIT"):
            db.engine.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(RuntimeError, match="within another one"):
            async with rolled_back(db):
                pass
        engine = db.engine
    async with db.begin():
        with pytest.raises(RuntimeError, match="no unit of work is open"):
            async with rolled_back(db):
                pass
    with pytest.raises(RuntimeError, match=r"Take `db\.engine` anew"):
        async with engine.connect():
            pass
