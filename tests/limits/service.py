"""A service with limits: what the tests of limits serve in a process of its own."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from roadworthy import limits, problems
from roadworthy.database import Database, Tx
from roadworthy.health import Health
from roadworthy.lifespan import find, lifespan
from roadworthy.problems import Problem
from roadworthy.uploads import Disk, Files, FileType, MiB, Stored, Upload

SECONDS = timedelta(seconds=1)
rows = sa.Table("rows", sa.MetaData(), sa.Column("name", sa.String(50), primary_key=True))
seen = {"cancelled": 0, "finished": 0}


class TooSlow(Problem):
    """It takes too long."""

    status = 504


class _Anything:
    def feed(self, data: Any) -> None:
        pass

    def finish(self) -> None:
        pass


upload = Upload(
    max_bytes=1 * MiB,
    accept=(FileType("text/x-any", ".any", lambda head: True, _Anything),),
    idle=30 * SECONDS,
    min_rate=0,
)


async def slow(seconds: float, tx: Tx, name: str = "a") -> str:
    await tx.execute(sa.insert(rows).values(name=name))
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        seen["cancelled"] += 1
        raise
    seen["finished"] += 1
    return "done"


def in_a_thread(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


async def kept(request: Request) -> list[str]:
    async with find(request, Database).read() as session:
        return list(await session.scalars(sa.select(rows.c.name)))


async def what_was_seen() -> dict[str, int]:
    return seen


async def echo(body: dict[str, Any]) -> dict[str, Any]:
    return body


async def raw(request: Request) -> int:
    return len(await request.body())


async def take(file: Annotated[Stored, upload.raw]) -> int:
    return file.size_bytes


async def trickle() -> StreamingResponse:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(20):
            yield f"{number}\n".encode()
            await asyncio.sleep(0.1)

    return StreamingResponse(numbers(), media_type="text/plain")


async def endless(media_type: str) -> StreamingResponse:
    async def first() -> AsyncIterator[bytes]:
        yield b"{}\n\n"
        await asyncio.sleep(3600)

    return StreamingResponse(first(), media_type=media_type)


async def _passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


class Tables:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def __aenter__(self) -> None:
        async with self.db.engine.begin() as connection:
            await connection.run_sync(rows.metadata.create_all)

    async def __aexit__(self, *_: object) -> None:
        pass


def create_app() -> FastAPI:
    words = json.loads(os.environ["LIMITS"])
    folder = os.environ["FOLDER"]
    db, health = Database(f"sqlite:///{folder}/rows.db"), Health()
    app = FastAPI(lifespan=lifespan(db, Tables(db), Files(Disk(f"{folder}/files")), health))
    for path, endpoint in (
        ("/slow", slow),
        ("/thread", in_a_thread),
        ("/kept", kept),
        ("/seen", what_was_seen),
        ("/trickle", trickle),
        ("/endless", endless),
    ):
        app.get(path)(endpoint)
    app.get("/hurried", dependencies=[limits.time_limit(0.3 * SECONDS, problem=TooSlow)])(slow)
    app.get("/patient", dependencies=[limits.time_limit(30 * SECONDS)])(slow)
    app.get("/watched", dependencies=[limits.cancel_on_disconnect])(slow)
    app.post("/watched", dependencies=[limits.cancel_on_disconnect])(watched_body)
    app.post("/watched-raw", dependencies=[limits.cancel_on_disconnect])(raw)
    app.get("/watched-raw", dependencies=[limits.cancel_on_disconnect])(raw)
    app.post("/echo")(echo)
    app.post("/raw")(raw)
    app.post("/files")(take)
    if words.pop("middleware", False):
        app.add_middleware(BaseHTTPMiddleware, dispatch=_passing)
    options = {k: SECONDS * v if k in {"time", "body_idle"} else v for k, v in words.items()}
    limits.install(app, **options)
    health.install(app)
    problems.install(app)
    return app


async def watched_body(body: dict[str, float], tx: Tx) -> str:
    return await slow(body["seconds"], tx)
