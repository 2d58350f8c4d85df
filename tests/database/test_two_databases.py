"""Two databases in one application: `Tx` of a named one, and refused where it is ambiguous."""

from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import problems
from roadworthy.database import Database, Read, Tx, reading, transaction
from roadworthy.lifespan import PartAmbiguous, PartMissing, find, lifespan

Ledger = Annotated[AsyncSession, transaction(database="ledger")]
LedgerRead = Annotated[AsyncSession, reading(database="ledger")]


def application(*parts):
    app = FastAPI(lifespan=lifespan(*parts))
    problems.install(app)

    @app.post("/both")
    async def both(tx: Tx, again: Tx, ledger: Ledger, ledger_again: Ledger) -> None:
        assert tx is again
        assert ledger is ledger_again
        await tx.execute(text("INSERT INTO note VALUES ('shop')"))
        await ledger.execute(text("INSERT INTO note VALUES ('ledger')"))

    @app.post("/fails")
    async def fails(tx: Tx, ledger: Ledger) -> None:
        await ledger.execute(text("INSERT INTO note VALUES ('lost')"))
        await tx.execute(text("INSERT INTO note VALUES ('lost')"))
        raise problems.NotFound

    @app.get("/notes")
    async def notes(read: Read, ledger: LedgerRead, request: Request) -> list[list[str]]:
        assert find(request, Database).name is None
        assert find(request, Database, name="ledger").name == "ledger"
        query = text("SELECT body FROM note")
        return [list((await one.execute(query)).scalars()) for one in (read, ledger)]

    return app


@pytest.mark.parametrize("order", [1, -1])
async def test_each_route_says_which_one_it_means(sqlite_url, postgres_url, order):
    shop, ledger = Database(sqlite_url), Database(postgres_url, name="ledger")
    for db in (shop, ledger):
        async with db, db.begin() as tx:
            await tx.execute(text("CREATE TABLE note (body text)"))
    app = application(*[shop, ledger][::order])
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client,
    ):
        assert (await client.post("/both")).status_code == 200
        assert (await client.post("/fails")).status_code == 404
        assert (await client.get("/notes")).json() == [["shop"], ["ledger"]]


@pytest.mark.parametrize("names", [(None, None), ("a", "ledger"), (None, None, "ledger")])
async def test_what_is_ambiguous_does_not_start(names):
    app = application(*[Database("sqlite://", name=name) for name in names])
    with pytest.raises((PartAmbiguous, PartMissing), match=r"ledger|transaction"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_name_that_nobody_has_is_named_at_the_start():
    app = application(Database("sqlite://"))
    with pytest.raises(PartMissing, match=r"Database\(\.\.\., name='ledger'\)"):
        async with app.router.lifespan_context(app):
            pass


async def test_one_database_is_meant_whatever_its_name():
    app = FastAPI(lifespan=lifespan(Database("sqlite://", name="ledger")))
    problems.install(app)

    @app.get("/one")
    async def one(tx: Tx) -> int:
        return int(await tx.scalar(text("SELECT 1")) or 0)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client,
    ):
        assert (await client.get("/one")).json() == 1
