"""A migration while the servers run: what was prepared before runs again, or is 503."""

import asyncio
from typing import Annotated

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import problems
from roadworthy.database import Database, Read, Tx, transaction
from roadworthy.lifespan import lifespan

Repeated = Annotated[AsyncSession, transaction(attempts=3)]
ALL = "SELECT * FROM item ORDER BY 1"
MIGRATIONS = {
    "a type changed": "ALTER TABLE item ALTER n TYPE bigint",
    "a column more": "ALTER TABLE item ADD more int DEFAULT 7",
    "a table made anew": (
        "DROP TABLE item; CREATE TABLE item (other text, n bigint);"
        " INSERT INTO item VALUES ('a', 1)"
    ),
    "an enum made anew": (
        "ALTER TABLE item DROP kind; DROP TYPE kind; CREATE TYPE kind AS ENUM ('new');"
        " ALTER TABLE item ADD kind kind DEFAULT 'new'"
    ),
}


@pytest.fixture(params=["postgresql+asyncpg", "postgresql+psycopg"])
def url(request, postgres_url):
    migrate(
        postgres_url,
        "CREATE TYPE kind AS ENUM ('old'); CREATE TABLE item (n int, kind kind DEFAULT 'old');"
        " INSERT INTO item VALUES (1)",
    )
    return postgres_url.replace("postgresql", request.param, 1)


def migrate(url, statements):
    plain = url.replace("+asyncpg", "").replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statements)


@pytest.fixture
async def client(url):
    app = FastAPI(lifespan=lifespan(Database(url, pool_size=4)))
    problems.install(app)

    async def rows(session):
        return [list(row) for row in (await session.execute(text(ALL))).tuples()]

    @app.get("/tx")
    async def in_tx(tx: Tx) -> list[list[object]]:
        return await rows(tx)

    @app.get("/read")
    async def in_read(read: Read) -> list[list[object]]:
        return await rows(read)

    @app.get("/second")
    async def second(read: Read) -> list[list[object]]:
        await read.execute(text("SELECT set_config('app.tenant', '7', true)"))
        found = await rows(read)
        assert await read.scalar(text("SELECT current_setting('app.tenant')")) == "7"
        return found

    @app.post("/second")
    async def second_write(tx: Tx) -> None:
        await tx.execute(text("SELECT set_config('app.tenant', '7', true)"))
        await rows(tx)

    @app.post("/repeated")
    async def repeated(tx: Repeated) -> None:
        await tx.execute(text("SELECT set_config('app.tenant', '7', true)"))
        await rows(tx)

    @app.post("/returning")
    async def returning(tx: Tx) -> None:
        await tx.execute(text("INSERT INTO item (n) VALUES (2) RETURNING *"))

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://t") as asking,
    ):
        yield asking


async def statuses(client, line, times=4):
    method, path = line.split()
    answers = await asyncio.gather(*(client.request(method, path) for _ in range(times)))
    assert all(a.headers["retry-after"] for a in answers if a.status_code == 503)
    return [answer.status_code for answer in answers]


async def warm_up(client, *lines):
    for line in lines:
        for _ in range(8):  # psycopg prepares what has run five times
            assert await statuses(client, line) == [200] * 4


@pytest.mark.sampled
@pytest.mark.parametrize("migration", MIGRATIONS)
@pytest.mark.parametrize("path", ["/tx", "/read", "/second"])
async def test_what_only_reads_runs_again(client, url, path, migration):
    await warm_up(client, f"GET {path}")
    migrate(url, MIGRATIONS[migration])
    for _ in range(3):
        assert await statuses(client, f"GET {path}") == [200] * 4
    with psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", "")) as plain:
        wanted = [list(row) for row in plain.execute(ALL).fetchall()]
    assert (await client.get(path)).json() == wanted


@pytest.mark.sampled
@pytest.mark.parametrize("migration", MIGRATIONS)
async def test_what_may_run_again_does(client, url, migration):
    await warm_up(client, "POST /repeated", "POST /returning")
    migrate(url, MIGRATIONS[migration])
    assert await statuses(client, "POST /repeated") == [200] * 4
    assert await statuses(client, "POST /returning") == [200] * 4


@pytest.mark.sampled
@pytest.mark.parametrize("migration", MIGRATIONS)
async def test_what_may_not_run_again_is_503_and_never_500(client, url, migration):
    await warm_up(client, "POST /second")
    migrate(url, MIGRATIONS[migration])
    found = [status for _ in range(2) for status in await statuses(client, "POST /second")]
    assert set(found) <= {200, 503}
    assert await statuses(client, "POST /second") == [200] * 4


async def test_statements_that_are_gone_are_prepared_anew(url):
    async with Database(url, pool_size=1) as db:
        for _ in range(8):
            async with db.read() as read:
                await read.execute(text(ALL))
        async with db.begin() as tx:
            await tx.execute(text("DEALLOCATE ALL"))
        for _ in range(2):
            async with db.read() as read:
                assert (await read.execute(text(ALL))).all()


async def test_a_feature_that_the_server_has_not_stays_a_bug(url):
    async with Database(url) as db:
        with pytest.raises(Exception, match="FOR UPDATE") as caught:
            async with db.begin() as tx:
                await tx.execute(text("SELECT count(*) FROM item FOR UPDATE"))
        assert not isinstance(caught.value, problems.Problem)


async def test_sqlite_reads_its_schema_anew(sqlite_url):
    async with Database(sqlite_url) as db:
        async with db.begin() as tx:
            await tx.execute(text("CREATE TABLE item (n int)"))
        for _ in range(8):
            async with db.read() as read:
                await read.execute(text(ALL))
        async with db.begin() as tx:
            await tx.execute(text("ALTER TABLE item ADD more int DEFAULT 7"))
            await tx.execute(text("INSERT INTO item (n) VALUES (1)"))
        async with db.read() as read:
            assert (await read.execute(text(ALL))).all() == [(1, 7)]
