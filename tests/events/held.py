"""Streams of every kind, each with every kind of session: what an open one holds is asked."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from roadworthy.database import Database, Read, SyncRead, SyncTx, Tx
from roadworthy.lifespan import lifespan

__all__ = ["FORMS", "SESSIONS", "create_app"]

POOL = 4
FORMS = ("sse", "jsonl", "streaming", "file")
SESSIONS = ("tx", "read", "sync-tx", "sync-read", "stock")
ONE = sa.text("SELECT 1")


async def _numbers() -> AsyncIterator[int]:
    yield 1
    await asyncio.sleep(3600)


async def _lines() -> AsyncIterator[bytes]:
    async for number in _numbers():
        yield f"{number}\n".encode()


def create_app() -> FastAPI:
    """Return the application; the sessions of `stock` are of an engine of its own."""
    url = os.environ["URL"]
    db = Database(url, pool_size=POOL)
    engine = create_async_engine(
        url.replace("postgresql:", "postgresql+asyncpg:"), pool_size=POOL, max_overflow=0
    )
    sessions = async_sessionmaker(engine)

    async def stock() -> AsyncIterator[AsyncSession]:  # as the documentation of FastAPI has it
        async with sessions() as session:
            yield session

    app = FastAPI(lifespan=lifespan(db))
    kinds: dict[str, Any] = {
        "tx": Tx,
        "read": Read,
        "sync-tx": SyncTx,
        "sync-read": SyncRead,
        "stock": Annotated[AsyncSession, Depends(stock)],
    }
    for name, kind in kinds.items():
        _add(app, name, kind)

    async def held() -> dict[str, int]:
        ours, stocks = (
            e.pool.checkedout()  # type: ignore[attr-defined]
            for e in (db.engine, engine)
        )
        reading = db.read_engine.pool.checkedout()  # type: ignore[attr-defined]
        return {"ours": ours + reading * (db.read_engine is not db.engine), "stock": stocks}

    app.get("/held")(held)
    return app


def _add(app: FastAPI, name: str, kind: Any) -> None:
    sync = name.startswith("sync")
    streaming, file, items = (_sync if sync else _async)(kind, Path(os.environ["LARGE"]))
    app.get(f"/streaming/{name}")(streaming)
    app.get(f"/file/{name}")(file)
    used = [Depends(_before(kind, sync=sync))]
    app.get(f"/jsonl/{name}", dependencies=used)(items)
    app.get(f"/sse/{name}", response_class=EventSourceResponse, dependencies=used)(items)


def _sync(kind: Any, large: Path) -> tuple[Callable[..., Any], ...]:
    def streaming(session: kind) -> StreamingResponse:
        session.execute(ONE)
        return StreamingResponse(_lines(), media_type="text/plain")

    def file(session: kind) -> FileResponse:
        session.execute(ONE)
        return FileResponse(large)

    def items(session: kind) -> Iterator[int]:
        yield 1
        time.sleep(5)  # in a thread, which no client can end

    return streaming, file, items


def _async(kind: Any, large: Path) -> tuple[Callable[..., Any], ...]:
    async def streaming(session: kind) -> StreamingResponse:
        await session.execute(ONE)
        return StreamingResponse(_lines(), media_type="text/plain")

    async def file(session: kind) -> FileResponse:
        await session.execute(ONE)
        return FileResponse(large)

    async def items(session: kind) -> AsyncIterator[int]:
        async for number in _numbers():
            yield number

    return streaming, file, items


def _before(kind: Any, *, sync: bool) -> Callable[..., Any]:
    """Return a dependency that uses the session before the stream begins: to let somebody in."""

    def look(session: kind) -> None:
        session.execute(ONE)

    async def look_async(session: kind) -> None:
        await session.execute(ONE)

    return look if sync else look_async
