"""A session that cannot do what is asked, where another one may: 503, and it is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import problems
from roadworthy.database import Database, Read, Tx, transaction
from roadworthy.lifespan import lifespan

DRIVERS = ["postgresql+asyncpg", "postgresql+psycopg"]
INSERT = "INSERT INTO note VALUES (1)"
READ_ONLY = "default_transaction_read_only"


@pytest.fixture
def admin(postgres_server, postgres_url):
    """Do something to the database of the test from outside."""
    name = postgres_url.rpartition("/")[2]

    def run(statement):
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            return connection.execute(statement.format(name=name)).statusmessage

    return run


@pytest.fixture
def demote(admin):
    """Make the node refuse writes for whoever connects from now on, and cut the others."""

    def run(*, cut=True):
        admin(f"ALTER DATABASE {{name}} SET {READ_ONLY} = on")
        if cut:
            admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    return run


@pytest.fixture
def promote(admin):
    return lambda: admin(f"ALTER DATABASE {{name}} RESET {READ_ONLY}")


@pytest.fixture(params=DRIVERS)
def url(request, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE note (n int)")
    return postgres_url.replace("postgresql", request.param, 1)


@asynccontextmanager
async def served(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(lifespan=lifespan(db))
    problems.install(app)

    @app.post("/notes")
    async def add(tx: Tx) -> None:
        await tx.execute(text(INSERT))

    @app.get("/notes")
    async def count(read: Read) -> int:
        return int((await read.execute(text("SELECT count(*) FROM note"))).scalar_one())

    @app.post("/written-by-read")
    async def write_in_read(read: Read) -> None:
        await read.execute(text(INSERT))

    @app.post("/declared/{how}")
    async def declared(how: str, tx: Tx) -> None:
        if how == "statement":
            await tx.execute(text("SET TRANSACTION READ ONLY"))
        else:
            await tx.connection(execution_options={"postgresql_readonly": True})
        await tx.execute(text(INSERT))

    @app.post("/serializable")
    async def serial(
        tx: Annotated[AsyncSession, transaction(isolation="SERIALIZABLE")],
    ) -> None:
        await tx.execute(text(INSERT))

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://t") as client,
    ):
        yield client


async def statuses(client: httpx.AsyncClient, line: str, times: int) -> list[int]:
    method, path = line.split()
    answers = await asyncio.gather(*(client.request(method, path) for _ in range(times)))
    assert all(a.headers["retry-after"] for a in answers if a.status_code == 503)
    return [answer.status_code for answer in answers]


async def test_a_node_that_takes_no_writes_is_503_and_forgotten(
    url: str, demote: Any, promote: Any
) -> None:
    async with served(Database(url, pool_size=4)) as client:
        assert await statuses(client, "POST /notes", 4) == [200] * 4
        demote()
        for _ in range(3):
            assert set(await statuses(client, "POST /notes", 4)) == {503}
            assert 200 in await statuses(client, "GET /notes", 4)
        promote()
        assert 200 in await statuses(client, "POST /notes", 1) + await statuses(
            client, "POST /notes", 1
        )
        assert await statuses(client, "POST /notes", 8) == [200] * 8


async def test_one_refusal_renews_the_idle_connections_beside(
    url: str, demote: Any, promote: Any
) -> None:
    async with served(Database(url, pool_size=4)) as client:
        demote()
        # All of them lead to a node that refuses writes, and are only read from.
        assert await statuses(client, "GET /notes", 8) == [200] * 8
        promote()
        assert await statuses(client, "POST /notes", 1) == [503]
        assert await statuses(client, "POST /notes", 8) == [200] * 8


async def test_reads_go_on_while_demoted(url: str, demote: Any) -> None:
    async with served(Database(url, pool_size=2)) as client:
        demote(cut=False)
        for _ in range(4):
            await client.post("/notes")
            assert await statuses(client, "GET /notes", 2) == [200, 200]


@pytest.mark.parametrize("path", ["/written-by-read", "/declared/statement", "/declared/option"])
async def test_a_unit_that_is_declared_read_only_and_writes_stays_a_bug(
    url: str, path: str
) -> None:
    async with served(Database(url, pool_size=1)) as client:
        assert await statuses(client, f"POST {path}", 1) == [500]
        assert await statuses(client, "POST /notes", 1) == [200]


@pytest.mark.parametrize(
    "query", [f"options=-c%20{READ_ONLY}%3Don", "options=--default-transaction-read-only%3Don"]
)
async def test_a_database_that_the_program_wants_read_only_is_no_failover(
    url: str, query: str
) -> None:
    async with served(Database(f"{url}?{query}", pool_size=1)) as client:
        assert await statuses(client, "POST /notes", 2) == [500, 500]
        assert await statuses(client, "GET /notes", 2) == [200, 200]


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "nonsense", "LISTEN 1"])
async def test_a_missing_table_and_wrong_sql_stay_bugs(url: str, statement: str) -> None:
    async with Database(url) as db:
        with pytest.raises(Exception, match=r"nowhere|syntax error") as caught:
            async with db.begin() as tx:
                await tx.execute(text(statement))
        assert not isinstance(caught.value, problems.Problem)


async def test_a_session_that_is_ended_is_503_and_the_next_is_another(url: str, admin: Any) -> None:
    async with Database(url, pool_size=2) as db:
        for setting in ("idle_in_transaction_session_timeout", "idle_session_timeout"):
            with pytest.raises(problems.ServiceUnavailable):  # noqa: PT012 - the way there counts
                async with db.begin() as tx:
                    await tx.execute(text(f"SET {setting} = '50ms'"))
                    if setting == "idle_session_timeout":
                        await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
                    await asyncio.sleep(0.3)
                    await tx.execute(text("SELECT 1"))
            async with db.begin() as tx:
                await tx.execute(text("SELECT 1"))


async def test_where_no_host_fits_it_is_503(url: str, demote: Any, promote: Any) -> None:
    demote()
    async with served(Database(f"{url}?target_session_attrs=read-write")) as client:
        assert await statuses(client, "POST /notes", 2) == [503, 503]
        promote()
        assert await statuses(client, "POST /notes", 2) == [200, 200]
    async with served(Database(f"{url}?target_session_attrs=standby")) as client:
        assert await statuses(client, "GET /notes", 2) == [503, 503]


async def test_a_ping_may_expect_a_node_that_takes_writes(
    url: str, demote: Any, promote: Any
) -> None:
    async with Database(url) as db:
        await db.ping(writes=True)
        demote()
        await db.ping()
        with pytest.raises(problems.ServiceUnavailable):
            await db.ping(writes=True)
        promote()
        await db.ping(writes=True)


async def test_a_ping_of_sqlite_expects_a_file_that_takes_writes(sqlite_url: str) -> None:
    async with Database(sqlite_url) as db:
        await db.ping(writes=True)
