"""Behind PgBouncer with transaction pooling, with fewer connections than there are clients."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import JSON, Column, Integer, MetaData, Table, insert, select, text

from roadworthy.database import Database
from roadworthy.problems import Problem
from support.fixtures import skipped_without
from support.pgbouncer import pgbouncer

notes = Table("note", MetaData(), Column("id", Integer, primary_key=True), Column("body", JSON))


@pytest.fixture
def pooled_url(postgres_url):
    with skipped_without("pgbouncer"), pgbouncer(postgres_url) as url:
        yield url


@pytest.fixture(params=["postgresql", "postgresql+psycopg"])
def url(request, pooled_url):
    """The URL through the pooler, with each driver."""
    return pooled_url.replace("postgresql", request.param, 1)


async def test_the_pooler_really_gives_each_transaction_any_connection(pooled_url):
    """The tests below could not fail otherwise: a prepared statement is lost on the way."""
    clients = [await asyncpg.connect(pooled_url) for _ in range(6)]
    found = []
    for _ in range(100):  # on a busy machine they may take turns for a while
        asking = (client.fetch("SELECT $1::int", 1) for client in clients)
        found += await asyncio.gather(*asking, return_exceptions=True)
        if lost := any("prepared statement" in str(one) for one in found):
            break
    for client in clients:
        await client.close()

    assert lost


async def test_statements_and_json_work_from_many_clients_at_once(url):
    async with Database(url, behind_pooler=True, pool_size=20) as db:
        async with db.begin() as tx:
            await tx.run_sync(lambda session: notes.create(session.connection()))

        async def use(number):
            for turn in range(5):
                async with db.begin() as tx:
                    await tx.execute(
                        insert(notes), {"id": number * 100 + turn, "body": {"number": number}}
                    )
                    found = await tx.scalar(
                        select(notes.c.body).where(notes.c.id == number * 100 + turn)
                    )
                    assert found == {"number": number}

        await asyncio.gather(*(use(number) for number in range(20)))
        async with db.read() as read:
            assert len((await read.execute(select(notes.c.id))).all()) == 100


async def test_each_transaction_has_its_timeout_and_leaves_none_behind(url, pooled_url):
    limit = timedelta(seconds=0.2)
    async with Database(url, behind_pooler=True, statement_timeout=limit) as db:
        with pytest.raises(Problem) as refused:
            async with db.begin() as tx:
                await tx.execute(text("SELECT pg_sleep(10)"))
        assert refused.value.status == 503
        with pytest.raises(Problem):
            async with db.read() as read:
                await read.execute(text("SELECT pg_sleep(10)"))

    other = await asyncpg.connect(pooled_url, statement_cache_size=0)
    for _ in range(6):
        async with other.transaction():
            assert await other.fetchval("SHOW statement_timeout") == "0"
    await other.close()


async def test_isolation_and_reading_only_are_those_of_the_transaction(url):
    async with Database(url, behind_pooler=True) as db:
        async with db.begin(isolation="SERIALIZABLE") as tx:
            assert await tx.scalar(text("SHOW transaction_isolation")) == "serializable"
        async with db.read() as read:
            assert await read.scalar(text("SHOW transaction_read_only")) == "on"
        async with db.begin() as tx:
            assert await tx.scalar(text("SHOW transaction_isolation")) == "read committed"
            assert await tx.scalar(text("SHOW transaction_read_only")) == "off"


async def test_a_ping_goes_through(url):
    async with Database(url, behind_pooler=True) as db:
        await db.ping()
        assert db.can_listen is False


async def test_without_saying_so_it_does_not_start(pooled_url):
    """What `behind_pooler` leaves out is refused: nobody runs for long without it."""
    async with Database(pooled_url) as db:
        with pytest.raises(Problem) as refused:
            await db.ping()
    assert "unsupported startup parameter" in str(refused.value.__cause__)
