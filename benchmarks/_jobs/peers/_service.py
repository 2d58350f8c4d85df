"""The service of the first proof: what all peers share of it."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI, HTTPException
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from _jobs import common

EFFECTS = os.environ.get("EFFECTS", "")

TABLES = (
    "CREATE TABLE orders (key VARCHAR(40) PRIMARY KEY)",
    "CREATE TABLE effects (key VARCHAR(40) NOT NULL)",
)


def prepare(url: str) -> None:
    """Make the two tables; SQLite's file in WAL mode, which is best for every peer."""
    if url.startswith("sqlite"):
        common.query(url, "PRAGMA journal_mode=WAL")
    common.script(url, *TABLES)


async def misbehave(kind: str) -> None:
    """Be what the client asked for, after the jobs were enqueued."""
    if kind == "fails":
        raise RuntimeError("after enqueueing")
    if kind == "refuses":
        raise HTTPException(409, "after enqueueing")
    if kind == "times-out":
        async with asyncio.timeout(0.02):
            await asyncio.sleep(1)
    if kind == "hung-up":
        await asyncio.sleep(0.05)


async def append_line(key: str) -> None:
    """Have an effect outside the database: a line in a file."""
    await asyncio.sleep(random.uniform(0, 0.04))
    file = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{key}\n".encode())
    os.close(file)


def burn(seconds: float) -> None:
    """Compute for as much processor time, and note the end with one byte."""
    end, n = time.thread_time() + seconds, 0
    while time.thread_time() < end:
        n = (n * 3 + 1) % 1_000_003
    file = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b".")
    os.close(file)


async def insert_row(tx: AsyncSession, key: str) -> None:
    """Have an effect in the database."""
    # Before the INSERT: on SQLite, whoever has written holds the only lock for writing.
    await asyncio.sleep(random.uniform(0, 0.04))
    await tx.execute(text("INSERT INTO effects VALUES (:key)"), {"key": key})


async def insert_order(tx: AsyncSession, key: str) -> None:
    await tx.execute(text("INSERT INTO orders VALUES (:key)"), {"key": key})


def sessions(url: str, driver: str = "asyncpg") -> async_sessionmaker[AsyncSession]:
    """Sessions as written by hand: on SQLite, writers begin with the lock and wait for it."""
    if not url.startswith("sqlite"):
        engine = create_async_engine(url.replace("://", f"+{driver}://"), pool_size=10)
        return async_sessionmaker(engine, expire_on_commit=False)
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
    event.listen(engine.sync_engine, "connect", _sqlite_connect)
    event.listen(engine.sync_engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return async_sessionmaker(engine, expire_on_commit=False)


def _sqlite_connect(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]
    connection.execute("PRAGMA busy_timeout=10000")  # type: ignore[attr-defined]


def by_hand(
    app: FastAPI,
    make_session: async_sessionmaker[AsyncSession],
    enqueue: Callable[[AsyncSession, str], Awaitable[None]],
) -> None:
    """Add the route for a peer that enqueues in the handler's own transaction."""

    @app.post("/orders/{key}/{kind}", status_code=201)
    async def place(key: str, kind: str) -> dict[str, str]:
        async with make_session.begin() as tx:
            await insert_order(tx, key)
            await enqueue(tx, key)
            await misbehave(kind)
        return {"key": key}


def run(app: FastAPI, port: str) -> None:
    uvicorn.run(app, port=int(port), access_log=False, log_level="critical")
