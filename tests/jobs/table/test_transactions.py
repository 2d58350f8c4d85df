"""The wrong kind of transaction is refused where it is passed, with what to write."""

import asyncio
import inspect

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool
from sqlmodel import Session as SQLModelSession
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from jobs.opened import PLAIN, SYNC, database, rows, url_for
from roadworthy import jobs
from roadworthy.database import Database, Tx
from roadworthy.jobs import Jobs, enqueue_many, enqueue_many_sync, task
from roadworthy.lifespan import lifespan
from roadworthy.tables import metadata


@task(name="mail")
def mail(to: str) -> None: ...


class Mine(Session): ...


class MineAsync(AsyncSession): ...


ENGINE = sa.create_engine("sqlite://", poolclass=StaticPool)
ASYNC_ENGINE = create_async_engine("sqlite+aiosqlite://")
SYNC_ONES = {
    "Session": lambda: Session(ENGINE),
    "a subclass": lambda: Mine(ENGINE),
    "SQLModel's": lambda: SQLModelSession(ENGINE),
    "Connection": ENGINE.connect,
    "scoped_session": lambda: scoped_session(sessionmaker(ENGINE)),
}
ASYNC_ONES = {
    "AsyncSession": lambda: AsyncSession(ASYNC_ENGINE),
    "a subclass": lambda: MineAsync(ASYNC_ENGINE),
    "SQLModel's": lambda: SQLModelAsyncSession(ASYNC_ENGINE),
    "AsyncConnection": ASYNC_ENGINE.connect,
    "async_scoped_session": lambda: async_scoped_session(
        async_sessionmaker(ASYNC_ENGINE), asyncio.current_task
    ),
}
NEITHER = {
    "Engine": (lambda: ENGINE, "open one"),
    "AsyncEngine": (lambda: ASYNC_ENGINE, "open one"),
    "sessionmaker": (lambda: sessionmaker(ENGINE), r"factory\.begin"),
    "async_sessionmaker": (lambda: async_sessionmaker(ASYNC_ENGINE), r"factory\.begin"),
    "Database": (lambda: Database("sqlite://"), r"db\.begin"),
    "None": (lambda: None, "Pass the transaction"),
    "a class": (lambda: Session, "Pass the transaction"),
    "SessionTransaction": (lambda: Session(ENGINE).begin(), "itself"),
}
AWAITED = {
    "enqueue": lambda tx: mail.enqueue(tx, to="ann"),
    "options": lambda tx: mail.options(priority=1).enqueue(tx, to="ann"),
    "enqueue_many": lambda tx: enqueue_many(tx, [mail.call(to="ann")]),
}
CALLED = {
    "enqueue_sync": lambda tx: mail.enqueue_sync(tx, to="ann"),
    "options": lambda tx: mail.options(priority=1).enqueue_sync(tx, to="ann"),
    "enqueue_many_sync": lambda tx: enqueue_many_sync(tx, [mail.call(to="ann")]),
}


class TestRefusing:
    @pytest.mark.parametrize("method", AWAITED)
    @pytest.mark.parametrize("kind", SYNC_ONES)
    def test_a_synchronous_one_is_told_of_enqueue_sync_at_the_call(self, method, kind):
        with pytest.raises(TypeError, match=r"AsyncSession.* (mail\.enqueue|enqueue_many)_sync"):
            AWAITED[method](SYNC_ONES[kind]())

    @pytest.mark.parametrize("method", CALLED)
    @pytest.mark.parametrize("kind", ASYNC_ONES)
    def test_an_asynchronous_one_is_told_to_await(self, method, kind):
        with pytest.raises(TypeError, match=r"`await (mail\.enqueue|enqueue_many)\(session"):
            CALLED[method](ASYNC_ONES[kind]())

    @pytest.mark.parametrize("method", [*AWAITED, *CALLED])
    @pytest.mark.parametrize("kind", NEITHER)
    def test_what_is_no_transaction_is_named(self, method, kind):
        make, hint = NEITHER[kind]
        with pytest.raises(TypeError, match=hint):
            {**AWAITED, **CALLED}[method](make())

    @pytest.mark.parametrize("kind", [*NEITHER, "Connection", "AsyncConnection"])
    def test_after_commit_takes_sessions_only(self, kind):
        makes = {**SYNC_ONES, **ASYNC_ONES, **{name: one for name, (one, _) in NEITHER.items()}}
        with pytest.raises(TypeError, match=r"mail\.after_commit takes a session"):
            mail.after_commit(makes[kind](), to="ann")

    @pytest.mark.parametrize("ask", [jobs.get, jobs.retry, jobs.cancel, jobs.key_holder])
    @pytest.mark.parametrize("kind", SYNC_ONES)
    def test_operators_are_told_at_the_call_too(self, ask, kind):
        with pytest.raises(TypeError, match=rf"jobs\.{ask.__name__} takes an AsyncSession"):
            ask(SYNC_ONES[kind](), "1")

    def test_what_is_no_call_is_refused(self):
        with pytest.raises(TypeError, match=r"takes calls.*remind\.call"):
            enqueue_many_sync(Session(ENGINE), ["ann"])

    @pytest.mark.parametrize(
        "given",
        [
            *(ENGINE, "sqlite://", sa.make_url("sqlite://"), None, Session(ENGINE), Database),
            *(sessionmaker(ENGINE), async_sessionmaker(ASYNC_ENGINE), AsyncSession(ASYNC_ENGINE)),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_what_is_no_database_is_refused_by_jobs(self, given):
        with pytest.raises(TypeError, match=r"Database.*create_async_engine"):
            Jobs(given, tasks=[mail])

    def test_units_of_the_users_own_are_taken_and_not_opened(self):
        class Own:
            @property
            def engine(self):
                raise RuntimeError("not open yet")

            def begin(self): ...

        for given in (Own(), Database("sqlite://"), ASYNC_ENGINE):
            assert Jobs(given, tasks=[mail]).tasks == (mail,)


class TestTaking:
    @pytest.mark.parametrize("kind", SYNC_ONES)
    async def test_each_synchronous_kind_enqueues(self, database_url, kind):
        async with database(database_url) as db:
            engine = sa.create_engine(url_for(database_url, SYNC))
            make = {
                "Session": lambda: Session(engine),
                "a subclass": lambda: Mine(engine),
                "SQLModel's": lambda: SQLModelSession(engine),
                "Connection": engine.connect,
                "scoped_session": lambda: scoped_session(sessionmaker(engine)),
            }[kind]
            tx = make()
            for method in CALLED.values():
                method(tx)
            tx.commit()
            (tx.remove if kind == "scoped_session" else tx.close)()
            engine.dispose()

            assert len(await rows(db)) == 3

    @pytest.mark.parametrize("kind", ASYNC_ONES)
    async def test_each_asynchronous_kind_enqueues(self, database_url, kind):
        async with database(database_url) as db:
            engine = create_async_engine(url_for(database_url, PLAIN))
            if kind == "AsyncConnection":
                tx = await engine.connect()
            else:
                scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
                kinds = {"a subclass": MineAsync, "SQLModel's": SQLModelAsyncSession}
                tx = scoped if "scoped" in kind else kinds.get(kind, AsyncSession)(engine)
            for method in AWAITED.values():
                await method(tx)
            await tx.commit()
            await tx.close()
            await engine.dispose()

            assert len(await rows(db)) == 3

    async def test_a_coroutine_comes_back(self, database_url):
        async with database(database_url) as db:
            async with db.begin() as tx:
                coroutine = mail.enqueue(tx, to="ann")
                assert inspect.iscoroutine(coroutine)
                await coroutine
                await asyncio.create_task(mail.enqueue(tx, to="bob"))
                (third,) = await asyncio.gather(mail.enqueue(tx, to="cid"))
                assert third.created

            assert len(await rows(db)) == 3


class TestForgettingToAwait:
    @pytest.mark.filterwarnings("ignore:coroutine")
    @pytest.mark.parametrize("method", AWAITED)
    def test_the_request_fails_and_the_log_names_the_line(self, tmp_path, method, caplog):
        db = Database(f"sqlite:///{tmp_path}/a.db")
        sa_engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db")
        metadata.create_all(sa_engine)
        app = FastAPI(lifespan=lifespan(db, Jobs(db, tasks=[mail], run=False)))

        @app.post("/")
        async def add(tx: Tx) -> None:
            AWAITED[method](tx)

        line = pytest.raises(RuntimeError, match=r"test_transactions\.py, line \d+.*`await`")
        with TestClient(app) as client, line:
            client.post("/")

    @pytest.mark.filterwarnings("ignore:coroutine")
    async def test_a_transaction_that_is_rolled_back_has_forgotten_nothing(self, database_url):
        async with database(database_url) as db, Jobs(db, tasks=[mail], run=False):
            async with db.begin() as tx:
                await tx.execute(sa.select(1))
                mail.enqueue(tx, to="ann")
                await tx.rollback()
            async with db.begin() as tx:
                await mail.enqueue(tx, to="ann")
            assert len(await rows(db)) == 1
