"""The part itself: opening, closing, what it reports, and whose sessions it lends."""

import asyncio
import gc
import logging
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from roadworthy.database import Database, UnitClosed, on_commit


class Plant(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str


async def test_it_can_be_opened_again(database_url: str) -> None:
    db = Database(database_url)
    for _ in range(2):
        async with db:
            await db.ping()
            async with db.begin() as tx:
                assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_what_leaves_a_unit_rolls_it_back(
    database_url: str, error: type[BaseException]
) -> None:
    """T7, for streams, jobs and scripts"""
    async with Database(database_url, pool_size=1) as db:
        async with db.begin() as tx:
            await tx.execute(text("CREATE TABLE notes (id INTEGER)"))
        with pytest.raises(error):
            await _write_and_raise(db, error)
        async with db.read() as read:
            assert (await read.execute(text("SELECT count(*) FROM notes"))).scalar_one() == 0


async def _write_and_raise(db: Database, error: type[BaseException]) -> None:
    async with db.begin() as tx:
        await tx.execute(text("INSERT INTO notes VALUES (1)"))
        raise error


async def test_a_closed_one_says_what_to_type(database_url: str) -> None:
    with pytest.raises(RuntimeError, match=r"lifespan=lifespan\(db\)"):
        async with Database(database_url).begin():
            pass


async def test_ping_needs_no_place_in_the_pool(database_url: str) -> None:
    async with Database(database_url, pool_size=1) as db, db.read() as read, db.begin() as tx:
        await (tx if database_url.startswith("postgresql") else read).execute(text("SELECT 1"))
        await asyncio.wait_for(db.ping(), 5)


async def test_closing_waits_for_open_units(database_url: str) -> None:
    """T6"""
    db = Database(database_url)
    done = []

    async def work(opened: asyncio.Event) -> None:
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))
            opened.set()
            await asyncio.sleep(0.2)
        done.append(True)

    async with db:
        opened = asyncio.Event()
        task = asyncio.create_task(work(opened))
        await opened.wait()
    assert done == [True]
    await task


async def test_a_unit_that_stays_open_is_reported_with_its_place(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T6"""
    async with Database(database_url, drain=timedelta(seconds=0.05)) as db:
        unit = db.begin()
        tx = await unit.__aenter__()
        await tx.execute(text("SELECT 1"))
    assert "test_part.py:" in caplog.text
    assert "still open" in caplog.text
    with pytest.raises(UnitClosed):
        await unit.__aexit__(None, None, None)


async def test_a_unit_that_was_dropped_unclosed_is_reported_with_its_place(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Database(database_url, drain=timedelta(seconds=0.05)) as db:
        unit = db.open_unit("somewhere:1")
        session = unit.session
        del unit, session
        gc.collect()
        assert [r.levelno for r in caplog.records] == [logging.ERROR]
        assert "somewhere:1 was never closed" in caplog.text


async def test_sqlmodel_sessions_work(database_url: str) -> None:
    async with Database(database_url, session_class=SQLModelSession) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        async with db.begin() as tx:
            assert isinstance(tx, SQLModelSession)
            tx.add(Plant(name="fern"))
        async with db.read() as read:
            assert isinstance(read, SQLModelSession)
            assert (await read.exec(select(Plant.name))).one() == "fern"


async def test_on_commit_wants_the_session_of_a_unit() -> None:
    with pytest.raises(RuntimeError, match="Tx"):
        on_commit(AsyncSession(), lambda: None)


def test_an_unknown_database_is_named() -> None:
    with pytest.raises(ValueError, match=r"sqlite:///file\.db or postgresql://"):
        Database("mysql://root@localhost/x")
