"""Whoever ends the transaction of a key, and however: the effects happen at most once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypeAlias

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)

from roadworthy import idempotency, problems
from roadworthy.idempotency import Idempotency, TransactionEnded
from roadworthy.problems import Conflict

# What SQLAlchemy says of who rolls back on the connection of a session.
pytestmark = pytest.mark.filterwarnings("ignore:transaction already deassociated")

Ending: TypeAlias = Callable[[Any], Awaitable[object]]

orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sku", sa.String, nullable=False, unique=True),
)


def make_engine(url: str) -> AsyncEngine:
    url = url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    if not url.startswith("sqlite"):
        return create_async_engine(url)
    engine = create_async_engine(url, connect_args={"isolation_level": None})

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(orders.metadata.create_all)
        await connection.run_sync(idempotency.metadata.create_all)
    yield engine
    await engine.dispose()


class Shop:
    """An application whose session is made in one of the ways that people make them."""

    def __init__(self, engine: AsyncEngine, session: Any) -> None:
        self.engine = engine
        self.app = FastAPI()
        problems.install(self.app)
        self.session = session
        self.once = Idempotency(session)

    def route(self, write: Callable[[Any], Awaitable[object]], *, before: Any = None) -> None:
        session: Any = self.session
        ahead = [] if before is None else [Depends(before)]

        @self.app.post("/orders", dependencies=[*ahead, self.once.key])
        async def add(tx: session) -> object:
            return await write(tx)

        @self.app.post("/strict", dependencies=[*ahead, Depends(self.once.required.dependency)])
        async def strict(tx: session) -> object:
            return await write(tx)

    async def post(self, key: str | None = "k", path: str = "/orders") -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {} if key is None else {"Idempotency-Key": key}
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.post(path, headers=headers)

    async def skus(self) -> list[str]:
        async with self.engine.connect() as connection:
            return list(await connection.scalars(sa.select(orders.c.sku).order_by(orders.c.id)))


def begun(engine: AsyncEngine) -> Any:
    async def session() -> AsyncGenerator[AsyncSession]:
        async with AsyncSession(engine) as opened, opened.begin():
            yield opened

    return Annotated[AsyncSession, Depends(session, scope="function")]


def commits_itself(engine: AsyncEngine) -> Any:
    async def session() -> AsyncGenerator[AsyncSession]:
        async with AsyncSession(engine) as opened:
            yield opened
            await opened.commit()

    return Annotated[AsyncSession, Depends(session, scope="function")]


def commits_whatever_happens(engine: AsyncEngine) -> Any:
    async def session() -> AsyncGenerator[AsyncSession]:
        async with AsyncSession(engine) as opened:
            try:
                yield opened
            finally:
                await opened.commit()

    return Annotated[AsyncSession, Depends(session, scope="function")]


def on_a_connection(engine: AsyncEngine) -> Any:
    async def session() -> AsyncGenerator[AsyncSession]:
        async with engine.begin() as connection, AsyncSession(connection) as opened:
            yield opened
            await opened.flush()

    return Annotated[AsyncSession, Depends(session, scope="function")]


def scoped(engine: AsyncEngine) -> Any:
    make = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)

    async def session() -> AsyncGenerator[async_scoped_session[AsyncSession]]:
        async with make.begin():
            yield make
        await make.remove()

    return Annotated[Any, Depends(session, scope="function")]


SESSIONS = [begun, commits_itself, commits_whatever_happens, on_a_connection, scoped]


async def by_session(tx: Any) -> None:
    await tx.commit()


async def by_sync_face(tx: Any) -> None:
    await tx.run_sync(lambda session: session.commit())


async def by_connection(tx: Any) -> None:
    await (await tx.connection()).commit()


async def by_sync_connection(tx: Any) -> None:
    await (await tx.connection()).run_sync(lambda connection: connection.commit())


async def by_transaction(tx: Any) -> None:
    await tx.get_transaction().commit()


async def by_block(tx: Any) -> None:
    async with tx.begin():
        pass


async def by_block_of_the_connection(tx: Any) -> None:
    async with (await tx.connection()).begin():
        pass


async def by_rollback(tx: Any) -> None:
    await tx.rollback()


async def by_rollback_of_the_connection(tx: Any) -> None:
    await (await tx.connection()).rollback()


async def by_close(tx: Any) -> None:
    await tx.close()


COMMITS = [by_session, by_sync_face, by_connection, by_sync_connection, by_transaction]
BEGINS = [by_block, by_block_of_the_connection]
ROLLBACKS = [by_rollback, by_rollback_of_the_connection, by_close]


async def insert(tx: Any, sku: str) -> None:
    await tx.execute(sa.insert(orders).values(sku=sku))


def at_start(end: Ending) -> Ending:
    async def write(tx: Any) -> str:
        await end(tx)
        await insert(tx, "a")
        return "made"

    return write


def in_the_middle(end: Ending) -> Ending:
    async def write(tx: Any) -> str:
        await insert(tx, "a")
        await end(tx)
        await insert(tx, "b")
        return "made"

    return write


def at_end(end: Ending) -> Ending:
    async def write(tx: Any) -> str:
        await insert(tx, "a")
        await end(tx)
        return "made"

    return write


@pytest.mark.sampled
@pytest.mark.parametrize("place", [at_start, in_the_middle, at_end])
@pytest.mark.parametrize("end", COMMITS + BEGINS + ROLLBACKS)
@pytest.mark.parametrize("path", ["/orders", "/strict"])
async def test_who_ends_the_transaction_is_named_and_nothing_happens(
    engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
    place: Callable[[Ending], Ending],
    end: Ending,
    path: str,
) -> None:
    shop = Shop(engine, begun(engine))
    shop.route(place(end))

    answers = [await shop.post(path=path) for _ in range(3)]

    assert [a.status_code for a in answers] == [500] * 3
    assert await shop.skus() == []
    assert f"(test_endings.py:{end.__code__.co_firstlineno + 1}, in " in caplog.text
    assert "Idempotency-Key" in caplog.text


@pytest.mark.sampled
@pytest.mark.parametrize("make", SESSIONS)
@pytest.mark.parametrize("end", [by_session, by_connection, by_rollback, by_close])
async def test_however_the_session_is_made(
    engine: AsyncEngine, make: Callable[[AsyncEngine], Any], end: Ending
) -> None:
    shop = Shop(engine, make(engine))
    shop.route(in_the_middle(end))

    answers = [await shop.post() for _ in range(3)]

    assert [a.status_code for a in answers] == [500] * 3
    assert await shop.skus() == []


@pytest.mark.parametrize("make", SESSIONS)
async def test_without_an_end_the_effects_happen_once(
    engine: AsyncEngine, make: Callable[[AsyncEngine], Any]
) -> None:
    shop = Shop(engine, make(engine))
    shop.route(at_end(lambda tx: tx.flush()))

    answers = [await shop.post() for _ in range(3)]

    assert [a.status_code for a in answers] == [200] * 3
    assert [a.headers.get("idempotent-replayed") for a in answers] == [None, "true", "true"]
    assert await shop.skus() == ["a"]


@pytest.mark.parametrize("end", COMMITS + ROLLBACKS)
async def test_a_refusal_that_is_swallowed_is_the_answer_all_the_same(
    engine: AsyncEngine, end: Ending
) -> None:
    shop = Shop(engine, begun(engine))

    async def write(tx: Any) -> str:
        for step in (lambda: insert(tx, "a"), lambda: end(tx), lambda: insert(tx, "b")):
            with suppress(Exception):  # what some people write
                await step()
        return "made"

    shop.route(write)

    assert [(await shop.post()).status_code for _ in range(2)] == [500, 500]
    assert await shop.skus() == []


@pytest.mark.sampled
@pytest.mark.parametrize("make", SESSIONS)
@pytest.mark.parametrize("end", [by_session, by_connection])
async def test_a_dependency_that_commits_before_the_key_is_claimed_is_refused(
    engine: AsyncEngine, make: Callable[[AsyncEngine], Any], end: Ending
) -> None:
    session = make(engine)
    shop = Shop(engine, session)

    async def caller(tx: session) -> None:
        await insert(tx, "seen")
        await end(tx)

    shop.route(at_end(lambda tx: tx.flush()), before=caller)

    assert [(await shop.post()).status_code for _ in range(3)] == [500] * 3
    assert await shop.skus() == []


@pytest.mark.parametrize("make", SESSIONS)
async def test_what_a_dependency_writes_before_the_key_is_claimed_happens_once(
    engine: AsyncEngine, make: Callable[[AsyncEngine], Any]
) -> None:
    session = make(engine)
    shop = Shop(engine, session)
    count = iter(range(9))

    async def caller(tx: session) -> None:
        await insert(tx, f"seen {next(count)}")

    shop.route(at_end(lambda tx: tx.flush()), before=caller)

    assert [(await shop.post()).status_code for _ in range(3)] == [200] * 3
    assert await shop.skus() == ["seen 0", "a"]


async def test_a_dependency_may_roll_back_what_it_has_read(engine: AsyncEngine) -> None:
    session = commits_itself(engine)
    shop = Shop(engine, session)

    async def caller(tx: session) -> None:
        await tx.scalar(sa.select(sa.func.count()).select_from(orders))
        await tx.rollback()

    shop.route(at_end(lambda tx: tx.flush()), before=caller)

    assert [(await shop.post()).status_code for _ in range(2)] == [200, 200]
    assert await shop.skus() == ["a"]


@pytest.mark.sampled
@pytest.mark.parametrize("make", SESSIONS)
@pytest.mark.parametrize("returned", [True, False])
async def test_a_refused_request_leaves_nothing_whatever_the_session_does_at_its_end(
    engine: AsyncEngine, make: Callable[[AsyncEngine], Any], returned: bool
) -> None:
    shop = Shop(engine, make(engine))

    async def write(tx: Any) -> JSONResponse:
        await insert(tx, "a")
        if returned:
            return JSONResponse({"no": "way"}, 409)
        raise Conflict

    shop.route(write)

    assert [(await shop.post()).status_code for _ in range(2)] == [409, 409]
    assert await shop.skus() == []


async def test_who_rolls_back_and_refuses_may(engine: AsyncEngine) -> None:
    shop = Shop(engine, begun(engine))

    async def write(tx: Any) -> None:
        await insert(tx, "a")
        try:
            await insert(tx, "a")
        except IntegrityError:
            await tx.rollback()
            raise Conflict from None

    shop.route(write)

    assert [(await shop.post()).status_code for _ in range(2)] == [409, 409]
    assert await shop.skus() == []


async def test_savepoints_are_nobodys_end(engine: AsyncEngine) -> None:
    shop = Shop(engine, begun(engine))

    async def write(tx: Any) -> str:
        async with tx.begin_nested():
            await insert(tx, "a")
        try:
            async with tx.begin_nested():
                await insert(tx, "a")
        except IntegrityError:
            pass
        nested = await tx.begin_nested()
        await insert(tx, "b")
        await nested.commit()
        nested = await (await tx.connection()).begin_nested()
        await insert(tx, "c")
        await nested.rollback()
        return "made"

    shop.route(write)

    assert [(await shop.post()).status_code for _ in range(2)] == [200, 200]
    assert await shop.skus() == ["a", "b"]


@pytest.mark.parametrize("end", [by_session, by_sync_face, by_transaction, by_rollback, by_close])
async def test_without_a_key_everybody_may(engine: AsyncEngine, end: Ending) -> None:
    shop = Shop(engine, commits_itself(engine))
    count = iter(range(9))

    async def write(tx: Any) -> str:
        await insert(tx, f"{next(count)}")
        await end(tx)
        return "made"

    shop.route(write)

    assert [(await shop.post(key=None)).status_code for _ in range(2)] == [200, 200]
    assert await shop.skus() == (["0", "1"] if end in COMMITS else [])


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
async def test_sql_that_ends_the_transaction_does_nothing_twice(
    engine: AsyncEngine, statement: str
) -> None:
    shop = Shop(engine, begun(engine))
    count = iter(range(9))

    async def write(tx: Any) -> str:
        await insert(tx, f"{next(count)}")
        await tx.execute(sa.text(statement))
        return "made"

    shop.route(write)

    answers = [(await shop.post()).status_code for _ in range(3)]
    assert len(await shop.skus()) <= 1, answers


async def test_a_session_that_never_commits_is_told(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def session() -> AsyncGenerator[AsyncSession]:
        async with AsyncSession(engine) as opened:
            yield opened

    shop = Shop(engine, Annotated[AsyncSession, Depends(session, scope="function")])
    shop.route(at_end(lambda tx: tx.flush()))

    assert (await shop.post()).status_code == 500
    assert "session.begin(): yield session" in caplog.text


async def test_a_session_of_another_scope_is_refused_before_it_is_served(
    engine: AsyncEngine,
) -> None:
    async def session() -> AsyncGenerator[AsyncSession]:
        async with AsyncSession(engine) as opened, opened.begin():
            yield opened

    shop = Shop(engine, Annotated[AsyncSession, Depends(session, scope="function")])
    router = APIRouter(prefix="/in")

    @router.post("/orders", dependencies=[shop.once.key])
    async def add(tx: Annotated[AsyncSession, Depends(session)]) -> None: ...

    shop.app.include_router(router)
    with pytest.raises(RuntimeError, match="/orders takes the session"):
        await shop.app.build_middleware_stack()(  # as the first request does
            {"type": "http", "method": "POST", "path": "/in/orders", "headers": []}, None, None
        )


async def test_a_test_that_shares_one_session_sees_the_same(engine: AsyncEngine) -> None:
    """Suites put the session of a test, inside of a transaction of its own, in everybody's."""

    async def session() -> AsyncGenerator[AsyncSession]:
        raise NotImplementedError
        yield  # pragma: no cover

    shop = Shop(engine, Annotated[AsyncSession, Depends(session, scope="function")])
    count = iter(range(9))

    async def write(tx: Any) -> None:
        await insert(tx, f"{next(count)}")

    shop.route(write)
    shop.app.post("/commits", dependencies=[shop.once.key])(_committing(shop.session))
    async with _shared(engine) as shared:
        shop.app.dependency_overrides[session] = lambda: shared
        answers = [await shop.post() for _ in range(2)]
        refused = await shop.post(key="other", path="/commits")
        freed = await shop.post(key="other")

    assert [a.status_code for a in answers] == [200, 200]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert [a.status_code for a in (refused, freed)] == [500, 200]


def _committing(session: Any) -> Callable[..., Any]:
    async def add(tx: session) -> None:
        await insert(tx, "never")
        await tx.commit()

    return add


@asynccontextmanager
async def _shared(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with engine.connect() as connection:
        outer = await connection.begin()
        mode: Any = "create_savepoint"
        async with AsyncSession(connection, join_transaction_mode=mode) as session:
            yield session
        await outer.rollback()


def test_the_error_is_public() -> None:
    assert issubclass(TransactionEnded, RuntimeError)
