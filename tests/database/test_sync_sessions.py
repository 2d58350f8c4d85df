"""What a `Session` of a `def` route can do, and what mistakes with one are told."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
import sqlalchemy as sa
import sqlmodel
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from roadworthy import problems
from roadworthy.database import (
    Database,
    Read,
    SyncRead,
    SyncReadLatest,
    SyncTx,
    Tx,
    Unawaited,
    on_commit,
    sync_reading,
    sync_transaction,
    transaction,
)
from roadworthy.lifespan import lifespan


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "sync_owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    items: Mapped[list["Item"]] = relationship(back_populates="owner")


class Item(Base):
    __tablename__ = "sync_item"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(sa.ForeignKey("sync_owner.id"))
    owner: Mapped[Owner | None] = relationship(back_populates="items")


@pytest.fixture(params=["sqlite", "postgresql+psycopg", "postgresql+asyncpg"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database, with each driver."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    made: str = request.getfixturevalue("postgres_url")
    return made.replace("postgresql:", f"{request.param}:")


Declare = Callable[[FastAPI], None]


@pytest.fixture
def serve_routes(url: str) -> Iterator[Callable[..., TestClient]]:
    """Serve the routes that a function declares, on tables that are there."""
    opened: list[TestClient] = []

    def serve(declare: Declare, **options: Any) -> TestClient:
        db = Database(url, **options)
        app = FastAPI(lifespan=lifespan(db, tables(db)))
        app.state.db = db
        problems.install(app)
        declare(app)
        client = TestClient(app, raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield serve
    for client in opened:
        client.__exit__()


@asynccontextmanager
async def tables(db: Database) -> AsyncGenerator[None]:
    async with db.begin() as tx:
        await (await tx.connection()).run_sync(Base.metadata.create_all)
    yield


def ids(client: TestClient) -> list[int]:
    db: Database = client.app.state.db  # type: ignore[attr-defined]

    async def look() -> list[int]:
        async with db.read() as read:
            return list(await read.scalars(sa.select(Item.id).order_by(Item.id)))

    assert client.portal is not None
    return client.portal.call(look)


def test_rows_are_loaded_when_an_attribute_is_read(serve_routes: Any) -> None:
    def declare(app: FastAPI) -> None:
        @app.post("/owners")
        def add(tx: SyncTx) -> None:
            tx.add(Owner(id=1, items=[Item(id=1), Item(id=2)]))

        @app.get("/owners/1")
        def get(read: SyncRead) -> list[int]:
            return [item.id for item in read.get_one(Owner, 1).items]

    client = serve_routes(declare)
    assert client.post("/owners").status_code == 200
    assert client.get("/owners/1").json() == [1, 2]


def test_rows_can_be_fetched_in_parts(serve_routes: Any) -> None:
    """The cursor is the server's, and each fetch crosses to the event loop."""

    def declare(app: FastAPI) -> None:
        @app.post("/items")
        def add(tx: SyncTx) -> None:
            tx.execute(sa.insert(Item), [{"id": number} for number in range(1, 1201)])

        @app.get("/items")
        def get(read: SyncReadLatest) -> int:
            found = read.execute(sa.select(Item.id).execution_options(yield_per=7))
            return sum(found.scalars())

    client = serve_routes(declare)
    client.post("/items")
    assert client.get("/items").json() == 1200 * 1201 // 2


IN_PARTS = sa.select(Item.id).execution_options(yield_per=7)


def first_of_a_connection(tx: Session) -> Any:
    return tx.connection().execute(IN_PARTS.execution_options(stream_results=True)).first()


def first_and_fail(tx: Session) -> Any:
    next(tx.scalars(IN_PARTS))
    raise problems.NotFound


def first_and_commit(tx: Session) -> Any:
    found = tx.execute(IN_PARTS)
    found.fetchone()
    tx.commit()
    return tx.scalar(sa.select(sa.func.count(Item.id)))


def first_in_a_savepoint(tx: Session) -> Any:
    with suppress(ZeroDivisionError), tx.begin_nested():
        next(tx.scalars(IN_PARTS))
        raise ZeroDivisionError
    return tx.scalar(sa.select(sa.func.count(Item.id)))


READERS = {
    "session": lambda tx: next(tx.scalars(IN_PARTS)),
    "connection": first_of_a_connection,
    "error": first_and_fail,
    "commit": first_and_commit,
    "savepoint": first_in_a_savepoint,
}


@pytest.mark.sampled
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("options", [{}, {"statement_timeout": timedelta(0)}], ids=["", "endless"])
@pytest.mark.filterwarnings("always")
def test_a_result_that_is_read_in_part_ends_with_the_unit(
    serve_routes: Any, read: Any, options: Any, recwarn: pytest.WarningsRecorder
) -> None:
    """The connection is as good as new, and nobody is warned of what was left open."""

    def declare(app: FastAPI) -> None:
        @app.post("/items")
        def add(tx: SyncTx) -> None:
            tx.execute(sa.insert(Item), [{"id": number} for number in range(1, 101)])

        @app.get("/first")
        def first(tx: SyncTx) -> None:
            read(tx)

        @app.get("/stream")
        async def stream(tx: Tx) -> None:
            async for _ in await tx.stream(IN_PARTS):
                break

    client = serve_routes(declare, pool_size=1, **options)
    assert client.post("/items").status_code == 200
    recwarn.clear()
    for _ in range(3):
        assert client.get("/first").status_code == (404 if read is first_and_fail else 200)
        assert client.get("/stream").status_code == 200
        gc.collect()
    assert [str(each.message) for each in recwarn if each.category is ResourceWarning] == []
    assert ids(client) == list(range(1, 101))


def test_an_application_commits_and_rolls_back_by_itself_where_it_did(serve_routes: Any) -> None:
    """The template's own lines: add, commit, refresh."""

    def declare(app: FastAPI) -> None:
        @app.post("/items/{item_id}")
        def add(item_id: int, tx: SyncTx) -> int:
            item = Item(id=item_id)
            tx.add(item)
            tx.commit()
            tx.refresh(item)
            tx.add(Item(id=item_id + 1))
            tx.rollback()
            with tx.begin():
                tx.add(Item(id=item_id + 2))
            return item.id

    client = serve_routes(declare)
    assert client.post("/items/1").json() == 1
    assert ids(client) == [1, 3]


def test_core_and_a_connection_work_as_well(serve_routes: Any) -> None:
    def declare(app: FastAPI) -> None:
        @app.post("/items")
        def add(tx: SyncTx) -> list[Any]:
            connection = tx.connection()
            connection.execute(sa.insert(Item).values(id=1))
            with connection.begin_nested():
                connection.exec_driver_sql("INSERT INTO sync_item (id) VALUES (2)")
            names = sa.inspect(connection).get_table_names()
            return [tx.scalar(sa.select(sa.func.count(Item.id))), "sync_item" in names]

    client = serve_routes(declare)
    assert client.post("/items").json() == [2, True]


def test_both_kinds_of_dependency_have_one_transaction(serve_routes: Any) -> None:
    async def first(tx: Tx) -> None:
        tx.add(Item(id=1))
        await tx.flush()

    def declare(app: FastAPI) -> None:
        @app.post("/items/{status}", dependencies=[Depends(first)])
        def add(status: int, tx: SyncTx) -> list[int]:
            found = list(tx.scalars(sa.select(Item.id)))
            if status >= 400:
                raise problems.NotFound
            return found

    client = serve_routes(declare)
    assert client.post("/items/404").status_code == 404
    assert ids(client) == []
    assert client.post("/items/200").json() == [1]
    assert ids(client) == [1]


def test_a_callback_of_a_thread_runs_in_a_thread(serve_routes: Any) -> None:
    loop, called = [], []

    def declare(app: FastAPI) -> None:
        @app.post("/items")
        def add(tx: SyncTx) -> None:
            tx.add(Item(id=1))
            on_commit(tx, lambda: called.append(threading.get_ident()))

        @app.get("/loop")
        async def here() -> None:
            loop.append(threading.get_ident())

    client = serve_routes(declare)
    client.get("/loop")
    client.post("/items")
    assert called
    assert called != loop


def test_a_unit_of_ones_own_in_a_background_task(serve_routes: Any) -> None:
    def declare(app: FastAPI) -> None:
        db: Database = app.state.db

        @app.post("/items/{item_id}")
        def add(item_id: int) -> int:
            with db.begin_sync() as tx:
                tx.add(Item(id=item_id))
            with suppress(ZeroDivisionError), db.begin_sync() as tx:
                tx.add(Item(id=item_id + 1))
                tx.flush()
                raise ZeroDivisionError
            with db.read_sync() as read:
                return len(list(read.scalars(sa.select(Item.id))))

    client = serve_routes(declare)
    assert client.post("/items/1").json() == 1
    assert client.post("/items/1").status_code == 409
    assert client.app.state.db.thread_slots.state().used == 0


def test_a_thread_may_have_the_session_of_an_async_transaction(serve_routes: Any) -> None:
    def work(session: Session) -> None:
        session.add(Item(id=1))
        session.flush()

    def declare(app: FastAPI) -> None:
        db: Database = app.state.db

        @app.post("/items")
        async def add(tx: Tx) -> None:
            with db.lend_to_threads(tx) as session:
                await asyncio.to_thread(work, session)

    client = serve_routes(declare)
    assert client.post("/items").status_code == 200
    assert ids(client) == [1]


class Hero(sqlmodel.SQLModel, table=True):
    __tablename__ = "sync_hero"
    id: int | None = sqlmodel.Field(default=None, primary_key=True)


@pytest.mark.parametrize("made_of", [sqlmodel.Session, SQLModelAsyncSession, None])
def test_the_session_is_sqlmodels_where_it_is_asked_for(serve_routes: Any, made_of: Any) -> None:
    MySession = Annotated[sqlmodel.Session, sync_transaction(session=sqlmodel.Session)]

    def declare(app: FastAPI) -> None:
        @app.post("/heroes")
        def add(session: MySession) -> list[Any]:
            table: Any = Hero.metadata.tables["sync_hero"]
            Hero.metadata.create_all(session.connection(), [table])
            session.add(Hero())
            found = session.exec(sqlmodel.select(Hero)).all()
            return [len(found), isinstance(session, sqlmodel.Session)]

    options = {} if made_of is None else {"session_class": made_of}
    client = serve_routes(declare, **options)
    assert client.post("/heroes").json() == [1, True]


# --- mistakes -------------------------------------------------------------------------


def start(declare: Declare) -> None:
    app = FastAPI(lifespan=lifespan(Database("sqlite://")))
    declare(app)
    with TestClient(app):
        pass


ASYNC = {
    "Tx": Tx,
    "Read": Read,
    "transaction": Annotated[AsyncSession, transaction(attempts=2)],
}
SYNC = {
    "SyncTx": SyncTx,
    "SyncRead": SyncRead,
    "sync_transaction": Annotated[Session, sync_transaction(attempts=2)],
    "sync_reading": Annotated[Session, sync_reading(replica=False)],
}


@pytest.mark.parametrize("kind", ASYNC.values(), ids=ASYNC)
@pytest.mark.parametrize("stream", [False, True])
def test_a_session_to_await_in_a_def_route_is_refused_at_the_start(kind: Any, stream: bool) -> None:
    def declare(app: FastAPI) -> None:
        def notes(tx: kind) -> None: ...
        def lines(tx: kind) -> Iterator[str]:
            yield ""

        app.add_api_route("/notes", lines if stream else notes, methods=["DELETE"])

    with pytest.raises(TypeError, match=r"/notes is a `def` route.*`async def`.*`tx: Sync"):
        start(declare)


@pytest.mark.parametrize("kind", SYNC.values(), ids=SYNC)
@pytest.mark.parametrize("stream", [False, True])
def test_a_session_that_waits_in_an_async_route_is_refused_at_the_start(
    kind: Any, stream: bool
) -> None:
    def declare(app: FastAPI) -> None:
        async def notes(session: kind) -> None: ...
        async def lines(session: kind) -> AsyncGenerator[str]:
            yield ""

        app.add_api_route("/notes", lines if stream else notes, methods=["POST"])

    with pytest.raises(TypeError, match=r"/notes is an `async def`.*hold up.*`session: (Tx|Read)"):
        start(declare)


def answered(declare: Declare, path: str) -> BaseException:
    """Return what failed a request: what its developer reads."""
    db = Database("sqlite://")
    app = FastAPI(lifespan=lifespan(db, tables(db)))
    declare(app)
    with TestClient(app) as client, pytest.raises(Exception) as raised:  # noqa: PT011
        client.post(path)
    return raised.value


async def flush_and_forget(tx: Tx) -> None:
    tx.add(Item(id=1))
    tx.flush()  # type: ignore[unused-coroutine]


async def execute_and_forget(tx: Tx) -> None:
    await tx.execute(sa.text("SELECT 1"))
    tx.execute(sa.insert(Item).values(id=1))  # type: ignore[unused-coroutine]
    await tx.execute(sa.text("SELECT 1"))


async def forget_last(tx: Tx) -> None:
    tx.scalar(sa.text("SELECT 1"))  # type: ignore[unused-coroutine]


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("forgets", [flush_and_forget, execute_and_forget, forget_last])
def test_a_method_that_nobody_awaits_fails_the_request(forgets: Any) -> None:
    error = answered(lambda app: app.add_api_route("/x", forgets, methods=["POST"]), "/x")
    assert isinstance(error, Unawaited)
    assert "test_sync_sessions.py:" in str(error)
    assert "Write `await session." in str(error)


def in_a_thread(tx: Tx) -> None:
    tx.execute(sa.insert(Item).values(id=1))  # type: ignore[unused-coroutine]


def test_a_session_to_await_in_a_def_dependency_fails_the_request() -> None:
    def declare(app: FastAPI) -> None:
        @app.post("/x", dependencies=[Depends(in_a_thread)])
        async def x() -> None: ...

    error = answered(declare, "/x")
    assert isinstance(error, Unawaited)
    assert "take `tx: SyncTx`" in str(error)
    assert f"test_sync_sessions.py:{in_a_thread.__code__.co_firstlineno + 1}" in str(error)


def test_a_class_that_only_passes_a_session_on_may_be_a_dependency() -> None:
    class Items:
        def __init__(self, tx: Tx) -> None:
            self.tx = tx

    def declare(app: FastAPI) -> None:
        @app.post("/x")
        async def x(items: Annotated[Items, Depends()]) -> None:
            await items.tx.execute(sa.text("SELECT 1"))

    start(declare)


async def on_the_loop(tx: SyncTx) -> None:
    tx.execute(sa.text("SELECT 1"))


def test_a_session_that_waits_in_an_async_dependency_fails_the_request() -> None:
    def declare(app: FastAPI) -> None:
        @app.post("/x", dependencies=[Depends(on_the_loop)])
        def x() -> None: ...

    error = answered(declare, "/x")
    assert isinstance(error, MissingGreenlet)
    assert "take `tx: Tx` and `await`" in str(error)


async def test_a_unit_of_a_thread_is_refused_on_the_loop() -> None:
    async with Database("sqlite://") as db:
        with pytest.raises(RuntimeError, match="hold up all other requests"), db.begin_sync():
            pass


async def test_a_test_that_is_rolled_back_undoes_def_routes(url: str) -> None:
    db = Database(url)
    app = FastAPI(lifespan=lifespan(db))
    problems.install(app)

    @app.post("/items/{item_id}")
    def add(item_id: int, tx: SyncTx) -> int:
        tx.add(Item(id=item_id))
        tx.flush()
        if item_id > 1:
            raise problems.NotFound
        return len(list(tx.scalars(sa.select(Item.id))))

    async with db, tables(db):
        async with db.rolled_back(), app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                assert (await client.post("/items/1")).json() == 1
                assert (await client.post("/items/2")).status_code == 404
        async with db.read() as read:
            assert list(await read.scalars(sa.select(Item.id))) == []


async def test_closing_lets_a_thread_finish_its_unit(url: str) -> None:
    """T6"""
    db, begun = Database(url), threading.Event()

    def work() -> None:
        with db.begin_sync() as tx:
            tx.add(Item(id=1))
            tx.flush()
            begun.set()
            time.sleep(0.3)
            tx.add(Item(id=2))

    async with db, tables(db):
        thread = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.to_thread(begun.wait)
    async with db, db.read() as read:
        assert list(await read.scalars(sa.select(Item.id).order_by(Item.id))) == [1, 2]
    await thread


async def test_closing_waits_for_threads_and_cuts_off_who_stays(url: str) -> None:
    db, told = Database(url, drain=timedelta(seconds=0.3)), []

    def stay() -> None:
        try:
            with db.begin_sync() as tx:
                tx.add(Item(id=1))
                tx.flush()
                time.sleep(1)
                tx.add(Item(id=2))
        except BaseException as error:
            told.append(error)

    async with db, tables(db):
        thread = asyncio.create_task(asyncio.to_thread(stay))
        await asyncio.sleep(0.2)
    await thread
    assert told
    async with db, db.read() as read:
        assert list(await read.scalars(sa.select(Item.id))) == []
