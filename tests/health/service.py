"""A service with probes: what the tests of health serve in a process of its own."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterable, AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel
from sqlalchemy import text
from starlette.middleware.base import BaseHTTPMiddleware

from roadworthy import problems
from roadworthy.database import Database, Read
from roadworthy.health import Health
from roadworthy.lifespan import lifespan

SECONDS = timedelta(seconds=1)
asked: dict[str, int] = {"count": 0, "deaf": 0}
state: dict[str, Any] = {"mail": "pass"}


async def count() -> None:
    asked["count"] += 1


async def deaf() -> None:
    """Hang, and ignore every cancellation: a driver's worst manners."""
    asked["deaf"] += 1
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def mail() -> str | None:
    if state["mail"] == "fail":
        raise OSError("smtp://user:hunter2@mail is away")
    return "the queue is long" if state["mail"] == "warn" else None


def runs(suffix: str) -> Path:
    return Path(os.environ["RUNS"] + suffix)


def leave_a_trace(suffix: str) -> None:
    """Tell of each run where all processes tell of theirs."""
    with runs(suffix).open("a") as file:
        file.write(f"{os.getpid()} {time.monotonic()}\n")


async def told() -> None:
    leave_a_trace("")
    if runs(".fails").exists():
        raise OSError("it is away")


async def told_by_each() -> None:
    leave_a_trace(".each")


class Message(BaseModel):
    number: int


async def endless() -> AsyncIterable[Message]:
    number = 0
    while True:
        yield Message(number=number)
        number += 1
        await asyncio.sleep(0.2 if number < 3 else 3600)


async def lines() -> AsyncIterator[bytes]:
    async for message in endless():
        yield message.model_dump_json().encode() + b"\n"


async def nobody() -> None:
    raise HTTPException(401)


def create_app() -> FastAPI:
    words = json.loads(os.environ.get("HEALTH", "{}"))
    health = Health(version="1.2.3", drain=SECONDS * words.get("drain", 0), token="let me see")
    parts: list[Any] = []
    if url := os.environ.get("DATABASE_URL"):
        db = Database(url, pool_size=2, statement_timeout=60 * SECONDS)
        health.add("database", db.ping, timeout=SECONDS, interval=SECONDS)
        parts.append(db)
    health.add("count", count, interval=SECONDS)
    health.add("mail", mail, critical=False, interval=0.1 * SECONDS)
    if words.get("deaf"):
        health.add("deaf", deaf, timeout=0.2 * SECONDS, interval=0.2 * SECONDS)
    if "RUNS" in os.environ:
        health.add("told", told, interval=SECONDS)
        health.add("mine", told_by_each, interval=SECONDS, shared=False)
    guarded = [Depends(nobody)] if words.get("guarded") else []
    app = FastAPI(lifespan=lifespan(*parts, health), dependencies=guarded)
    _add_routes(app)
    if url:
        app.get("/busy")(busy)
    if words.get("stuck_middleware"):
        app.add_middleware(BaseHTTPMiddleware, dispatch=_stuck)
    health.install(app)
    problems.install(app)
    return app


async def busy(read: Read, seconds: float) -> str:
    await read.execute(text(f"SELECT pg_sleep({seconds})"))
    return "done"


async def _stuck(request: Any, call_next: Any) -> Any:
    await asyncio.sleep(3600)


async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def block(seconds: float) -> str:
    time.sleep(seconds)  # noqa: ASYNC251 - this is the fault
    return "done"


def threads(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


async def how_often() -> dict[str, int]:
    return asked


async def pid() -> int:
    return os.getpid()


async def set_mail(status: str) -> None:
    state["mail"] = status


async def messages() -> AsyncIterable[Message]:
    async for message in endless():
        yield message


async def ndjson() -> StreamingResponse:
    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _add_routes(app: FastAPI) -> None:
    for path, endpoint in (
        ("/slow", slow),
        ("/block", block),
        ("/threads", threads),
        ("/asked", how_often),
        ("/pid", pid),
        ("/lines", messages),
        ("/ndjson", ndjson),
    ):
        app.get(path)(endpoint)
    app.get("/events", response_class=EventSourceResponse)(messages)
    app.put("/mail/{status}")(set_mail)
