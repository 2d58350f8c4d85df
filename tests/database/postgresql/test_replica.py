"""`Read` on a real hot standby: what it may miss, what never does, and what if it is away."""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from roadworthy import problems
from roadworthy.database import (
    Database,
    Read,
    ReadLatest,
    SyncRead,
    SyncReadLatest,
    SyncTx,
    Tx,
)
from roadworthy.lifespan import lifespan
from roadworthy.problems import Problem, ServiceUnavailable
from support.polling import until_async
from support.postgres import private_postgres, streaming_replica

PORT = text("SELECT inet_server_port()")


@pytest.fixture(scope="module")
def primary():
    with private_postgres() as server:
        run(server, "CREATE TABLE note (id INTEGER PRIMARY KEY)")
        yield server


@pytest.fixture(scope="module")
def replica(primary):
    with streaming_replica(primary) as server:
        yield server


def run(server, statement):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(params=["postgresql", "postgresql+psycopg"])
def urls(request, primary, replica):
    return [url.replace("postgresql", request.param, 1) for url in (primary.url, replica.url)]


@pytest.fixture
async def db(urls):
    async with Database(urls[0], replica=urls[1], pool_size=3) as opened:
        yield opened


@pytest.fixture
async def client(urls):
    db = Database(urls[0], replica=urls[1])
    app = FastAPI(lifespan=lifespan(db))
    problems.install(app)

    add_async_routes(app)
    add_sync_routes(app)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as asking:
            yield asking


def add_async_routes(app):
    @app.post("/notes/{number}")
    async def add(number: int, tx: Tx) -> int:
        await tx.execute(text("INSERT INTO note VALUES (:id)"), {"id": number})
        return number

    @app.get("/read/{number}")
    async def read(number: int, read: Read) -> list[int]:
        return await look(read, number)

    @app.get("/latest/{number}")
    async def latest(number: int, read: ReadLatest) -> list[int]:
        return await look(read, number)

    async def look(read, number):
        found = await read.execute(text("SELECT id FROM note WHERE id = :id"), {"id": number})
        return [await read.scalar(PORT), *found.scalars()]


def add_sync_routes(app):
    @app.post("/sync-notes/{number}")
    def sync_add(number: int, tx: SyncTx) -> int:
        tx.execute(text("INSERT INTO note VALUES (:id)"), {"id": number})
        return number

    @app.get("/sync-read/{number}")
    def sync_read(number: int, read: SyncRead) -> list[int]:
        return sync_look(read, number)

    @app.get("/sync-latest/{number}")
    def sync_latest(number: int, read: SyncReadLatest) -> list[int]:
        return sync_look(read, number)

    def sync_look(read, number):
        found = read.execute(text("SELECT id FROM note WHERE id = :id"), {"id": number})
        return [read.scalar(PORT), *found.scalars()]


async def ask(client, path):
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


numbers = iter(range(1, 1000))


@pytest.mark.parametrize("kind", ["", "sync-"])
async def test_read_asks_the_replica_and_may_miss_what_was_committed(
    client, primary, replica, kind
):
    run(replica, "SELECT pg_wal_replay_pause()")
    try:
        number = next(numbers)
        assert (await client.post(f"/{kind}notes/{number}")).status_code == 200
        assert await ask(client, f"/{kind}read/{number}") == [replica.port]
        assert await ask(client, f"/{kind}latest/{number}") == [primary.port, number]
    finally:
        run(replica, "SELECT pg_wal_replay_resume()")
    await until_async(
        lambda: ask(client, f"/{kind}read/{number}"),
        lambda answer: answer == [replica.port, number],
    )


async def test_all_but_read_stays_with_the_primary(db, primary, replica):
    async with db.begin() as tx:
        assert await tx.scalar(PORT) == primary.port
    async with db.read() as read:
        assert await read.scalar(PORT) == primary.port
    async with db.read(replica=True) as read:
        assert await read.scalar(PORT) == replica.port
    async with db.read_engine.connect() as connection:
        assert await connection.scalar(PORT) == primary.port


async def test_all_but_read_stays_with_the_primary_in_a_thread(db, primary, replica):
    def ports():
        with db.begin_sync() as tx, db.read_sync() as read, db.read_sync(replica=True) as late:
            return [each.scalar(PORT) for each in (tx, read, late)]

    assert await asyncio.to_thread(ports) == [primary.port, primary.port, replica.port]


async def test_a_thread_reads_the_primary_where_the_replica_is_away(
    db, primary, replica, monkeypatch
):
    monkeypatch.setattr("roadworthy.database.postgresql.replica._PAUSE", 0.5)

    def sync_port():
        for _ in range(5):
            with suppress(ServiceUnavailable), db.read_sync(replica=True) as read:
                return read.scalar(PORT)
        raise AssertionError("nobody answers")

    assert await asyncio.to_thread(sync_port) == replica.port
    replica.kill()
    try:
        found = await asyncio.gather(*(asyncio.to_thread(sync_port) for _ in range(3)))
        assert set(found) == {primary.port}
    finally:
        replica.start()
    await until_async(lambda: asyncio.to_thread(sync_port), lambda port: port == replica.port)


async def test_a_thread_is_refused_writes_on_the_replica(db):
    def write():
        with db.read_sync(replica=True) as read:
            read.execute(text("INSERT INTO note VALUES (0)"))

    with pytest.raises(Exception, match="read-only"):
        await asyncio.to_thread(write)


async def test_it_refuses_writes(db):
    with pytest.raises(Exception, match="read-only"):
        async with db.read(replica=True) as read:
            await read.execute(text("INSERT INTO note VALUES (0)"))


async def test_where_the_replica_is_away_the_primary_is_read_until_it_is_back(
    db, primary, replica, monkeypatch, caplog
):
    monkeypatch.setattr("roadworthy.database.postgresql.replica._PAUSE", 0.5)
    assert await port(db) == replica.port
    replica.kill()
    try:
        began = time.monotonic()
        ports = await asyncio.gather(*(port(db, patient=True) for _ in range(10)))
        assert set(ports) == {primary.port}
        assert time.monotonic() - began < 5
        assert {await port(db) for _ in range(5)} == {primary.port}
        with pytest.raises(Problem):
            await db.ping_replica()
        await db.ping()
    finally:
        replica.start()

    await until_async(lambda: port(db), lambda found: found == replica.port)
    assert {await port(db) for _ in range(6)} == {replica.port}
    told = [r.message for r in caplog.records if "replica" in r.message]
    assert len(told) == 2, told


async def port(db, *, patient=False):
    """Return who answers; where a connection has just broken, that is a 503, and asked again."""
    for _ in range(5 if patient else 1):
        with suppress(ServiceUnavailable):
            async with db.read(replica=True) as read:
                return await read.scalar(PORT)
    raise AssertionError("nobody answers")


async def test_its_health_is_told(db, replica, primary):
    assert await db.ping_replica() is None
    run(replica, "SELECT pg_wal_replay_pause()")
    try:
        run(primary, f"INSERT INTO note VALUES ({next(numbers)})")
        deadline = time.monotonic() + 10
        reason = None
        while reason is None:
            assert time.monotonic() < deadline
            reason = await db.ping_replica(max_lag=timedelta(0))
        assert "late" in reason
    finally:
        run(replica, "SELECT pg_wal_replay_resume()")


async def test_what_is_no_replica_is_told(primary):
    async with Database(primary.url, replica=primary.url) as db:
        assert "is none" in await db.ping_replica()
    async with Database(primary.url) as db:
        assert "no replica" in await db.ping_replica()
        assert await port(db) == primary.port


@pytest.mark.parametrize(
    ("url", "replica"),
    [
        ("sqlite:///a.db", "sqlite:///b.db"),
        ("sqlite:///a.db", "postgresql://b/c"),
        ("postgresql://a/b", "postgresql+psycopg://a/b"),
    ],
)
def test_what_does_not_go_together_is_refused(url, replica):
    with pytest.raises(ValueError, match="with the same driver"):
        Database(url, replica=replica)
