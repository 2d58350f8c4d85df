"""What was read is answered, though the connection is lost before it is given back."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from roadworthy import problems
from roadworthy.database import Database, Read
from roadworthy.lifespan import lifespan
from support.proxy import Proxy

DRIVERS = ["postgresql+asyncpg", "postgresql+psycopg"]


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(postgres_url).port or 5432) as proxy:
        yield proxy


@pytest.fixture(params=DRIVERS)
def db(request: pytest.FixtureRequest, proxy: Proxy, postgres_url: str) -> Database:
    parts = urlsplit(postgres_url)
    there = parts._replace(scheme=request.param, netloc=f"{parts.username}@127.0.0.1:{proxy.port}")
    return Database(urlunsplit(there))


async def test_a_request_that_has_read_is_answered(db: Database, proxy: Proxy) -> None:
    app = FastAPI(lifespan=lifespan(db))

    @app.get("/read")
    async def read(tx: Read) -> int:
        found = (await tx.execute(text("SELECT 7"))).scalar_one()
        await asyncio.to_thread(proxy.cut)
        return int(found)

    problems.install(app)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            lost = await client.get("/read")
            proxy.restore()
            after = await client.get("/read")

    assert (lost.status_code, lost.text) == (200, "7")
    assert (after.status_code, after.text) == (200, "7")


async def test_a_block_that_has_read_ends_well(db: Database, proxy: Proxy) -> None:
    async with db:
        async with db.read() as tx:
            found = (await tx.execute(text("SELECT 7"))).scalar_one()
            await asyncio.to_thread(proxy.cut)
        proxy.restore()
        async with db.read() as tx:
            again = (await tx.execute(text("SELECT 7"))).scalar_one()

    assert (found, again) == (7, 7)
