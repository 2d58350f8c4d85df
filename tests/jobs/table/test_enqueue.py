"""Enqueueing: one INSERT in the caller's transaction, whatever kind of transaction it is."""

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlmodel import Session as SQLModelSyncSession
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession
from starlette.testclient import TestClient

from jobs.opened import PLAIN, SYNC, Woken, database, rows, running, url_for
from roadworthy import jobs, problems
from roadworthy._internal.ids import new_id
from roadworthy.database import Database, Tx
from roadworthy.jobs import Enqueued, Job, Jobs, enqueue_many, enqueue_many_sync, task
from roadworthy.lifespan import lifespan
from support.polling import until as wait_until
from support.polling import until_async as until
from support.postgres import database_on

PROMPTLY = 5.0
"""Seconds: far less than the minute between two polls, far more than it takes."""
SENT: list[str] = []
SEEN: list[int] = []


class Boom(Exception):
    """What ends a transaction."""


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


@task
async def send(order_id: str) -> None:
    SENT.append(order_id)


@task(unique="unfinished")
async def remind(order_id: str) -> None: ...


@task
async def look(job: Job) -> None:
    async with job.find(Database).read() as tx:
        SEEN.append((await tx.execute(text("SELECT count(*) FROM notes"))).scalar_one())


@task
def look_at_thread(order_id: str) -> None:
    SENT.append(f"{order_id} on {threading.current_thread().name}")


@task
async def fail(order_id: str) -> None:
    SENT.append(order_id)
    raise Boom("hunter2")


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """One database for all tests of this file: making one takes longer than a test."""
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    SENT.clear()
    SEEN.clear()


@dataclass(frozen=True, slots=True)
class Adding:
    """Enqueue a job, and then leave by an exception or not."""

    order_id: str = "order-1"
    then: type[BaseException] | None = None

    async def to(self, tx: Any) -> None:
        await send.enqueue(tx, order_id=self.order_id)
        self.leave()

    def to_sync(self, tx: Any) -> None:
        send.enqueue_sync(tx, order_id=self.order_id)
        self.leave()

    def leave(self) -> None:
        if self.then is not None:
            raise self.then


@contextmanager
def sync_engine(db: Database) -> Generator[Engine]:
    url = db.engine.url
    engine = create_engine(url.set(drivername=SYNC[url.get_backend_name()]))
    try:
        yield engine
    finally:
        engine.dispose()


async def unit(db: Database, adding: Adding) -> None:
    async with db.begin() as tx:
        await adding.to(tx)


async def async_session(db: Database, adding: Adding) -> None:
    async with AsyncSession(db.engine) as tx, tx.begin():
        await adding.to(tx)


async def sqlmodel_session(db: Database, adding: Adding) -> None:
    async with db.begin(session=SQLModelSession) as tx:
        assert type(tx).__module__.startswith("sqlmodel")
        await adding.to(tx)


async def async_connection(db: Database, adding: Adding) -> None:
    async with db.engine.begin() as tx:
        await adding.to(tx)


async def sync_session(db: Database, adding: Adding) -> None:
    def on_a_thread() -> None:
        with sync_engine(db) as engine, Session(engine) as tx, tx.begin():
            adding.to_sync(tx)

    await asyncio.to_thread(on_a_thread)


async def sync_sqlmodel_session(db: Database, adding: Adding) -> None:
    def on_a_thread() -> None:
        with sync_engine(db) as engine, SQLModelSyncSession(engine) as tx, tx.begin():
            adding.to_sync(tx)

    await asyncio.to_thread(on_a_thread)


async def sync_connection(db: Database, adding: Adding) -> None:
    def on_a_thread() -> None:
        with sync_engine(db) as engine, engine.begin() as tx:
            adding.to_sync(tx)

    await asyncio.to_thread(on_a_thread)


async def savepoint(db: Database, adding: Adding) -> None:
    async with db.begin() as tx, tx.begin_nested():
        await adding.to(tx)


Kind: TypeAlias = Callable[[Database, Adding], Coroutine[Any, Any, None]]
SESSIONS: tuple[Kind, ...] = (
    *(unit, async_session, sqlmodel_session, sync_session, sync_sqlmodel_session, savepoint),
)
CONNECTIONS: tuple[Kind, ...] = (async_connection, sync_connection)
every_kind = pytest.mark.parametrize("kind", [*SESSIONS, *CONNECTIONS], ids=lambda it: it.__name__)
every_session = pytest.mark.parametrize("kind", SESSIONS, ids=lambda it: it.__name__)


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Database]:
    """Open a database with our tables and the one of the notes."""
    async with database(url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        yield db


@contextmanager
def statements() -> Generator[list[str]]:
    """Collect the first word of every statement, and of each COMMIT and ROLLBACK."""
    told: list[str] = []

    def executed(_1: Any, _2: Any, statement: str, _3: Any, _4: Any, _5: Any) -> None:
        told.append(statement.split(maxsplit=1)[0])

    handlers: list[tuple[str, Any]] = [
        ("before_cursor_execute", executed),
        ("commit", lambda _: told.append("COMMIT")),
        ("rollback", lambda _: told.append("ROLLBACK")),
    ]
    for name, handler in handlers:
        event.listen(Engine, name, handler)
    try:
        yield told
    finally:
        for name, handler in handlers:
            event.remove(Engine, name, handler)


class TestOneInsert:
    @pytest.mark.sampled
    @every_kind
    async def test_the_job_exists_if_the_transaction_commits(
        self, database_url: str, kind: Kind
    ) -> None:
        async with database(database_url) as db:
            await kind(db, Adding())
            (row,) = await rows(db)

        assert (row.task, row.arguments) == (send.name, '{"order_id":"order-1"}')
        assert (row.state, row.attempts) == ("queued", 0)

    @every_kind
    async def test_the_job_does_not_exist_if_it_rolls_back(
        self, database_url: str, kind: Kind
    ) -> None:
        async with database(database_url) as db:
            with pytest.raises(Boom):
                await kind(db, Adding(then=Boom))

            assert await rows(db) == []

    @every_session
    async def test_it_is_one_insert_and_nothing_else(self, database_url: str, kind: Kind) -> None:
        """No SELECT, no COMMIT of ours, and no NOTIFY, which makes commits wait in line."""
        async with database(database_url) as db, Jobs(db, tasks=[send], engine=Woken()):
            with statements() as told, pytest.raises(Boom):
                await kind(db, Adding(then=Boom))

        assert [word for word in told if word not in {"SAVEPOINT", "ROLLBACK"}] == ["INSERT"]

    async def test_a_bare_connection_on_sqlite_is_one_insert_too(self, sqlite_url: str) -> None:
        async with database(sqlite_url) as db, db.engine.begin() as connection:
            with statements() as told:
                await send.enqueue(connection, order_id="1")

        assert told == ["INSERT"]

    async def test_a_bare_connection_on_postgresql_notifies_with_its_commit(
        self, postgres_url: str
    ) -> None:
        """Nobody else in this process would hear of it"""
        async with database(postgres_url) as db, db.engine.begin() as connection:
            with statements() as told:
                await send.enqueue(connection, order_id="1")

        assert told == ["INSERT", "NOTIFY"]

    async def test_a_thousand_jobs_are_one_statement(self, database_url: str) -> None:
        calls = [send.call(order_id=str(number)) for number in range(1000)]

        async with database(database_url) as db:
            async with db.begin() as tx:
                with statements() as told:
                    added = await enqueue_many(tx, calls)
            found = await rows(db)

        assert told == ["INSERT"]
        assert [row.id for row in found] == sorted(one.id for one in added)
        assert sorted(int(row.arguments[13:-2]) for row in found) == list(range(1000))

    async def test_many_may_be_of_different_tasks_and_some_may_be_there_already(
        self, database_url: str
    ) -> None:
        async with database(database_url) as db, db.begin() as tx:
            first = await remind.enqueue(tx, order_id="1")
            added = await enqueue_many(
                tx, [send.call("1"), remind.call("1"), remind.call("2"), remind.call("2")]
            )

        assert [one.created for one in added] == [True, False, True, False]
        assert added[1].id == first.id
        assert added[3].id == added[2].id

    def test_many_by_a_synchronous_session(self, tmp_path: Path) -> None:
        engine = create_engine(f"sqlite:///{tmp_path / 'sync.db'}")
        jobs.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            added = enqueue_many_sync(session, [send.call("1"), send.call("2")])
        with Session(engine) as session:
            found = session.execute(select(jobs.table.c.id)).scalars().all()
        engine.dispose()

        assert sorted(found) == sorted(one.id for one in added)

    async def test_none_are_no_statement(self, database_url: str) -> None:
        async with database(database_url) as db, db.begin() as tx:
            with statements() as told:
                assert await enqueue_many(tx, []) == []

        assert told == []

    async def test_a_session_of_sqlmodel_warns_of_nothing(self, database_url: str) -> None:
        async with database(database_url, session_class=SQLModelSession) as db:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                async with db.begin() as tx:
                    added = await send.enqueue(tx, order_id="1")
                    await enqueue_many(tx, [send.call(order_id="2")])
                    assert await jobs.get(tx, added.id) is not None

    async def test_a_savepoint_that_is_rolled_back_takes_its_job_along(
        self, database_url: str
    ) -> None:
        async with database(database_url) as db:
            async with db.begin() as tx:
                await send.enqueue(tx, order_id="outer")
                with suppress(Boom):
                    async with tx.begin_nested():
                        await send.enqueue(tx, order_id="inner")
                        raise Boom
            (row,) = await rows(db)

        assert row.arguments == '{"order_id":"outer"}'

    async def test_it_needs_no_jobs_to_be_open_in_this_process(self, database_url: str) -> None:
        async with database(database_url) as db:
            async with db.begin() as tx:
                added = await send.enqueue(tx, order_id="1")
            async with running(db, send):
                await until(lambda: SENT == ["1"])

        assert added == Enqueued(added.id, created=True)


class TestWakingUp:
    @pytest.mark.sampled
    @every_kind
    async def test_a_job_starts_at_once_after_the_commit(
        self, database_url: str, kind: Kind
    ) -> None:
        async with database(database_url) as db, running(db, send):
            await settled(db)
            began = time.monotonic()
            await kind(db, Adding())
            await until(lambda: SENT == ["order-1"], pause=0.001)
            took = time.monotonic() - began

        assert took < PROMPTLY

    @every_session
    async def test_engines_are_woken_once_and_only_by_a_commit(
        self, database_url: str, kind: Kind
    ) -> None:
        engine = Woken()
        async with database(database_url) as db, Jobs(db, tasks=[send], engine=engine):
            with pytest.raises(Boom):
                await kind(db, Adding(then=Boom))
            await asyncio.sleep(0)
            assert engine.times == 0

            await kind(db, Adding())
            await until(lambda: engine.times == 1)

    async def test_every_transaction_of_one_connection_wakes_them(self, sqlite_url: str) -> None:
        engine = Woken()
        async with (
            database(sqlite_url) as db,
            Jobs(db, tasks=[send], engine=engine),
            db.engine.connect() as connection,
        ):
            for times in (1, 2, 3):
                async with connection.begin():
                    await send.enqueue(connection, order_id="1")
                    await send.enqueue(connection, order_id="2")
                assert engine.times == times

    async def test_a_session_that_is_used_again_wakes_them_for_its_jobs_only(
        self, database_url: str
    ) -> None:
        engine = Woken()
        async with (
            opened(database_url) as db,
            Jobs(db, tasks=[send], engine=engine),
            AsyncSession(db.engine) as tx,
        ):
            await send.enqueue(tx, order_id="1")
            await tx.rollback()
            tx.add(Note(id=1))
            await tx.commit()
            assert engine.times == 0

            await send.enqueue(tx, order_id="2")
            await tx.close()
            tx.add(Note(id=2))
            await tx.commit()
            assert engine.times == 0

            await send.enqueue(tx, order_id="3")
            await tx.commit()
            assert engine.times == 1

    async def test_a_flush_that_fails_in_a_savepoint_does_not_unsay_what_was_before(
        self, database_url: str
    ) -> None:
        engine = Woken()
        async with opened(database_url) as db, Jobs(db, tasks=[send], engine=engine):
            await add_note(db, 1)
            async with db.begin() as tx:
                await send.enqueue(tx, order_id="1")
                await fail_in_a_savepoint(tx)

        assert engine.times == 1

    async def test_a_savepoint_that_is_released_wakes_nobody_yet(self, database_url: str) -> None:
        engine = Woken()
        async with database(database_url) as db, Jobs(db, tasks=[send], engine=engine):
            async with db.begin() as tx:
                async with tx.begin_nested():
                    await send.enqueue(tx, order_id="1")
                assert engine.times == 0
            assert engine.times == 1

    async def test_a_commit_that_enqueues_nothing_wakes_nobody(self, database_url: str) -> None:
        engine = Woken()
        async with opened(database_url) as db, Jobs(db, tasks=[send], engine=engine):
            await add_note(db, 1)

        assert engine.times == 0

    def test_routes_of_both_kinds_wake_them_with_their_commit(self, database_url: str) -> None:
        """A `def` endpoint commits on a thread of its own"""
        with TestClient(shop(database_url)) as client:
            began = time.monotonic()
            for path in ("/async", "/sync"):
                assert client.post(path).status_code == 200
            wait_until(lambda: sorted(SENT) == ["async", "sync"])

        assert time.monotonic() - began < 2 * PROMPTLY

    def test_a_route_that_is_refused_leaves_no_job(self, database_url: str) -> None:
        with TestClient(shop(database_url)) as client:
            assert client.post("/refused").status_code == 404
            assert client.post("/async").status_code == 200
            wait_until(lambda: "async" in SENT)

        assert SENT == ["async"]

    @pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])
    async def test_a_plain_engine_of_sqlalchemy_is_enough_for_jobs(
        self, postgres_url: str, driver: str
    ) -> None:
        await self.run_on_a_plain_engine(postgres_url, {"postgresql": driver})

    async def test_a_plain_engine_on_sqlite_is_enough_for_jobs(self, sqlite_url: str) -> None:
        await self.run_on_a_plain_engine(sqlite_url, PLAIN)

    async def run_on_a_plain_engine(self, url: str, drivers: dict[str, str]) -> None:
        async with database(url):
            pass
        engine = create_async_engine(url_for(url, drivers))
        async with running(engine, send):
            async with AsyncSession(engine) as tx, tx.begin():
                await send.enqueue(tx, order_id="1")
            await until(lambda: SENT == ["1"], seconds=PROMPTLY)
        await engine.dispose()


class TestAfterCommit:
    """`after_commit`: what may be lost runs in this process, once it is true."""

    async def test_it_runs_after_the_commit_and_sees_what_was_committed(
        self, database_url: str
    ) -> None:
        async with opened(database_url) as db, running(db, look):
            async with db.begin() as tx:
                look.after_commit(tx)
                tx.add(Note(id=1))
                await tx.flush()
                await asyncio.sleep(0.05)
                assert SEEN == []
            await until(lambda: SEEN == [1])

            assert await rows(db) == []

    async def test_it_runs_where_nothing_else_runs(self, database_url: str) -> None:
        async with opened(database_url) as db, Jobs(db, tasks=[look], run=False):
            async with db.begin() as tx:
                tx.add(Note(id=1))
                look.after_commit(tx)
            await until(lambda: SEEN == [1])

    async def test_jobs_that_closed_before_the_commit_do_not_fail_it(
        self, sqlite_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened(sqlite_url) as db, db.begin() as tx:
            async with Jobs(db, tasks=[look], run=False):
                look.after_commit(tx)
                tx.add(Note(id=1))
            async with Jobs(db, tasks=[send], run=False):
                await tx.commit()

        assert "is lost" in caplog.text

    async def test_it_does_not_run_after_a_rollback(self, database_url: str) -> None:
        async with opened(database_url) as db, Jobs(db, tasks=[send], run=False):
            with suppress(Boom):
                async with db.begin() as tx:
                    tx.add(Note(id=1))
                    send.after_commit(tx, order_id="rolled back")
                    raise Boom
            await self.settle(db)

        assert SENT == ["last"]

    async def test_it_does_not_run_when_its_session_was_closed_instead(
        self, database_url: str
    ) -> None:
        async with opened(database_url) as db, Jobs(db, tasks=[send], run=False):
            async with AsyncSession(db.engine) as tx:
                tx.add(Note(id=1))
                await tx.flush()
                send.after_commit(tx, order_id="closed")
                await tx.close()
                tx.add(Note(id=2))
                await tx.commit()
            await self.settle(db)

        assert SENT == ["last"]

    async def test_savepoints_that_are_rolled_back_take_theirs_along(
        self, database_url: str
    ) -> None:
        async with opened(database_url) as db, Jobs(db, tasks=[send], run=False):
            async with db.begin() as tx:
                send.after_commit(tx, order_id="outer")
                with suppress(Boom):
                    async with tx.begin_nested():
                        send.after_commit(tx, order_id="in one")
                        async with tx.begin_nested():
                            send.after_commit(tx, order_id="in two")
                        raise Boom
                async with tx.begin_nested():
                    send.after_commit(tx, order_id="released")
                    with suppress(Boom):
                        async with tx.begin_nested():
                            send.after_commit(tx, order_id="within released")
                            raise Boom
            await self.settle(db)

        assert sorted(SENT) == ["last", "outer", "released"]

    async def test_a_flush_that_fails_in_a_savepoint_does_not_unsay_what_was_before(
        self, database_url: str
    ) -> None:
        async with opened(database_url) as db, Jobs(db, tasks=[send], run=False):
            await add_note(db, 1)
            async with db.begin() as tx:
                send.after_commit(tx, order_id="before")
                await fail_in_a_savepoint(tx)
            await self.settle(db)

        assert sorted(SENT) == ["before", "last"]

    async def test_a_thread_that_commits_has_it_run_on_the_loop_too(
        self, database_url: str
    ) -> None:
        def on_a_thread() -> None:
            with sync_engine(db) as engine, Session(engine) as tx, tx.begin():
                tx.execute(text("SELECT 1"))
                send.after_commit(tx, order_id="from a thread")
                look_at_thread.after_commit(tx, order_id="as well")

        async with database(database_url) as db, Jobs(db, tasks=[send, look_at_thread], run=False):
            await asyncio.to_thread(on_a_thread)
            await until(lambda: sorted(SENT) == ["as well on roadworthy-job", "from a thread"])

    async def test_a_failure_is_logged_and_not_repeated(
        self, sqlite_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened(sqlite_url) as db, Jobs(db, tasks=[fail], run=False):
            async with db.begin() as tx:
                tx.add(Note(id=1))
                fail.after_commit(tx, order_id="1")
            await until(lambda: caplog.records)

        (record,) = caplog.records
        assert (record.levelno, record.error_code, record.task) == (  # type: ignore[attr-defined]
            *(logging.ERROR, "BOOM", fail.name),
        )
        assert SENT == ["1"]

    async def test_closing_waits_for_what_has_begun(self, sqlite_url: str) -> None:
        @task(name="slow")
        async def slow() -> None:
            await asyncio.sleep(0.1)
            SENT.append("slow")

        async with opened(sqlite_url) as db, Jobs(db, tasks=[slow], run=False), db.begin() as tx:
            tx.add(Note(id=1))
            slow.after_commit(tx)

        assert SENT == ["slow"]

    async def test_where_no_jobs_are_open_it_says_what_to_type(self, sqlite_url: str) -> None:
        async with database(sqlite_url) as db, db.begin() as tx:
            with pytest.raises(RuntimeError, match=r"lifespan=lifespan\(db, Jobs\(db, tasks="):
                send.after_commit(tx, order_id="1")

            async with Jobs(db, tasks=[look], run=False):
                with pytest.raises(RuntimeError, match=r"send\.after_commit"):
                    send.after_commit(tx, order_id="1")

    async def settle(self, db: Database) -> None:
        """Have one run that is asked for last, so that none before it is still to come."""
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))
            send.after_commit(tx, order_id="last")
        await until(lambda: "last" in SENT)


class TestOptions:
    async def test_a_delay_is_waited_for(self, database_url: str) -> None:
        async with database(database_url) as db, running(db, send):
            began = time.monotonic()
            async with db.begin() as tx:
                late = send.options(delay=timedelta(seconds=0.4))
                await late.enqueue(tx, order_id="late")
                await send.enqueue(tx, order_id="now")
            await until(lambda: SENT == ["now", "late"])

        assert 0.4 <= time.monotonic() - began < PROMPTLY

    async def test_a_time_in_any_zone_is_kept_in_utc(self, database_url: str) -> None:
        zone = timezone(timedelta(hours=9))
        at = datetime(2100, 1, 1, 9, tzinfo=zone)

        async with database(database_url) as db, db.begin() as tx:
            added = await send.options(run_at=at).enqueue(tx, order_id="1")
            record = await jobs.get(tx, added.id)

        assert record is not None
        assert (record.state, record.run_at) == ("scheduled", datetime(2100, 1, 1, tzinfo=UTC))
        assert record.run_at.utcoffset() == timedelta(0)

    async def test_a_time_that_has_passed_is_now(self, database_url: str) -> None:
        past = datetime.now(UTC) - timedelta(days=1)

        async with database(database_url) as db, running(db, send):
            async with db.begin() as tx:
                await send.options(run_at=past).enqueue(tx, order_id="1")
            await until(lambda: SENT == ["1"], seconds=PROMPTLY)

    async def test_priority_is_a_head_start_in_minutes(self, database_url: str) -> None:
        async with database(database_url) as db:
            async with db.begin() as tx:
                await send.options(priority=60).enqueue(tx, order_id="1")
                await send.options(priority=-5).enqueue(tx, order_id="2")
            first, second = await rows(db)

        assert (first.priority, first.run_at - first.turn_at) == (60, timedelta(hours=1))
        assert (second.priority, second.run_at - second.turn_at) == (-5, timedelta(minutes=-5))

    async def test_options_are_for_one_job_and_the_task_keeps_its_own(
        self, database_url: str
    ) -> None:
        @task(name="mails", queue="mails", priority=5)
        async def mail(order_id: str) -> None: ...

        async with database(database_url) as db:
            async with db.begin() as tx:
                await mail.options(queue="urgent", priority=0).enqueue(tx, order_id="1")
                await mail.enqueue(tx, order_id="2")
            found = await rows(db)

        assert [(row.queue, row.priority) for row in found] == [("urgent", 0), ("mails", 5)]

    async def test_a_unique_key_keeps_one_job_of_a_task(self, database_url: str) -> None:
        once = send.options(unique_key="customer-1")

        async with database(database_url) as db, db.begin() as tx:
            first = await once.enqueue(tx, order_id="1")
            second = await once.enqueue(tx, order_id="2")
            other = await send.options(unique_key="customer-2").enqueue(tx, order_id="3")

        assert (first.created, second.created, other.created) == (True, False, True)
        assert second.id == first.id


class TestIds:
    async def test_an_id_is_a_uuid_of_version_7(self, database_url: str) -> None:
        before = time.time_ns() // 10**6
        async with database(database_url) as db, db.begin() as tx:
            found = UUID((await send.enqueue(tx, order_id="1")).id)
        after = time.time_ns() // 10**6

        assert (found.version, found.variant) == (7, "specified in RFC 4122")
        assert before <= found.int >> 80 <= after

    def test_ids_of_later_moments_are_greater(self) -> None:
        moments = [0.0, 0.0005, 0.001, 1.0, 1_800_000_000.0, 1_800_000_000.0005, 4_000_000_000.0]

        ids = [new_id(moment) for moment in moments]

        assert sorted(ids) == ids

    def test_ids_of_one_moment_differ(self) -> None:
        assert len({new_id(1_800_000_000.0) for _ in range(1000)}) == 1000

    def test_random_bits_reach_neither_version_nor_variant(self) -> None:
        found = [UUID(new_id()) for _ in range(1000)]

        assert {(one.version, one.variant) for one in found} == {(7, "specified in RFC 4122")}


async def settled(db: Database) -> None:
    """Wait until the engine sleeps, and on PostgreSQL listens."""
    if db.engine.dialect.name == "postgresql":
        await until(lambda: listens(db))
    await asyncio.sleep(0.1)


async def listens(db: Database) -> bool:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'"
        " AND datname = current_database()"
    )
    async with db.read() as tx:
        return (await tx.execute(query)).scalar_one() > 0


async def add_note(db: Database, id_: int) -> None:
    async with db.begin() as tx:
        tx.add(Note(id=id_))


async def fail_in_a_savepoint(tx: AsyncSession) -> None:
    """Write what is there already, as one does who tries."""
    with suppress(IntegrityError):
        async with tx.begin_nested():
            tx.add(Note(id=1))
            await tx.flush()


def shop(url: str) -> FastAPI:
    """An application that enqueues in both kinds of route."""
    asyncio.run(create(url))
    db = Database(url)
    app = FastAPI(lifespan=lifespan(db, running(db, send)))
    problems.install(app)

    @app.post("/async")
    async def in_a_coroutine(tx: Tx) -> None:
        await send.enqueue(tx, order_id="async")

    @app.post("/sync")
    def on_a_thread() -> None:
        with sync_engine(db) as engine, Session(engine) as tx, tx.begin():
            send.enqueue_sync(tx, order_id="sync")

    @app.post("/refused")
    async def refused(tx: Tx) -> None:
        await send.enqueue(tx, order_id="refused")
        raise problems.NotFound

    return app


async def create(url: str) -> None:
    async with database(url):
        pass
