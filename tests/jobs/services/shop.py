"""An application with background work of every kind that FAILURES.md section 2.4 names."""

import asyncio
import hashlib
import math
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.services.settings import database, jobs_of
from jobs.services.tables import note
from roadworthy import problems
from roadworthy.database import Database, Tx
from roadworthy.jobs import Backoff, FailedAttempt, GiveUp, Job, enqueue_many, task
from roadworthy.lifespan import find, lifespan

SOON = Backoff(first=timedelta(seconds=0.2), factor=1, most=timedelta(seconds=0.2))
user: ContextVar[str] = ContextVar("user", default="nobody")


class Desk:
    """What a request borrows: open until its dependency ends."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()


desk = Desk()
router = APIRouter()


@task
async def record(tx: AsyncSession, name: str) -> None:
    await note(tx, name, time.time())


@task(attempts=2, backoff=SOON)
async def boom(after: float = 0) -> None:
    await asyncio.sleep(after)
    raise RuntimeError("the mail server is down")


@task
async def long(job: Job, name: str, after: float) -> None:
    print("begins", name, flush=True)  # noqa: T201 - tests wait for it
    await asyncio.sleep(float(os.environ.get("LONG", after)))
    async with job.completing() as tx:
        await note(tx, name, time.time(), str(job.attempt))


@task
def waits(after: float) -> None:
    time.sleep(after)


@task
def stuck() -> None:
    print("begins stuck", flush=True)  # noqa: T201 - tests wait for it
    time.sleep(3600)


@task(runs_on="cpu")
def computes(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        hashlib.sha256(b"x").digest()


@task(runs_on="cpu", attempts=1)
def backtracks(seconds: float) -> None:
    # One call into C that never lets go of the interpreter's lock; each letter doubles it.
    began = time.perf_counter()
    re.match(r"(a+)+$", "a" * 18 + "b")
    more = math.ceil(math.log2(seconds / (time.perf_counter() - began)))
    re.match(r"(a+)+$", "a" * (18 + more) + "b")


@task
async def looks_around(job: Job, name: str) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(desk.closed.wait(), 3)
    closed = "closed" if desk.closed.is_set() else "open"
    async with job.find(Database).begin() as tx:
        seen = f"{user.get()} {closed} {job.request_id} {problems.request_id()}"
        await note(tx, name, time.time(), seen)


ENDS = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "iteration": StopIteration("no more"),
}


@task(attempts=2, backoff=SOON)
async def ends(how: str) -> None:
    raise ENDS[how]


@task(attempts=2, backoff=SOON)
def ends_on_a_thread(how: str) -> None:
    raise ENDS[how]


@task
async def blocks(job: Job, seconds: float) -> None:
    async with job.find(Database).begin() as tx:
        await note(tx, "blocks", time.time(), str(job.attempt))
    time.sleep(seconds)  # noqa: ASYNC251 - the mistake that this is about


@task(attempts=20, backoff=SOON)
async def once(tx: AsyncSession, name: str, after: float = 0) -> None:
    await note(tx, name, time.time())
    await asyncio.sleep(after)


@task(attempts=20, backoff=SOON)
async def at_least_once(job: Job, name: str, after: float = 0) -> None:
    async with job.find(Database).begin() as tx:
        await note(tx, name, time.time())
    await asyncio.sleep(after)


@task
async def gives_up(job: Job, name: str, after: float) -> None:
    async with job.find(Database).begin() as tx:
        await note(tx, name, time.time())
    await asyncio.sleep(after)
    raise GiveUp


@task
async def nothing(number: int) -> None:
    """Do nothing: what is measured is what it takes to do so."""


TASKS: Any = [
    record,
    boom,
    long,
    waits,
    stuck,
    computes,
    backtracks,
    looks_around,
    ends,
    ends_on_a_thread,
    blocks,
    once,
    at_least_once,
    gives_up,
    nothing,
]
BY_NAME = {one.function.__name__: one for one in TASKS}


async def borrow() -> AsyncIterator[Desk]:
    user.set("somebody")
    desk.closed.clear()
    try:
        yield desk
    finally:
        desk.closed.set()


async def fail_late() -> None:
    await asyncio.sleep(0.3)
    raise RuntimeError("late failure")


@router.get("/ping")
async def ping() -> int:
    return os.getpid()


@router.get("/sync-ping")
def sync_ping() -> int:
    return os.getpid()


@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.6)
    return "whole"


@router.post("/enqueue/{name}")
async def enqueue(name: str, arguments: dict[str, Any], tx: Tx, times: int = 1) -> list[str]:
    calls = [BY_NAME[name].call(**arguments) for _ in range(times)]
    return [one.id for one in await enqueue_many(tx, calls)]


@router.post("/three")
async def three(tx: Tx) -> None:
    await record.enqueue(tx, name="first")
    await boom.enqueue(tx)
    await record.enqueue(tx, name="third")


@router.post("/background-fails")
async def background_fails(tasks: BackgroundTasks) -> None:
    tasks.add_task(fail_late)


@router.post("/refused")
async def refused(tx: Tx) -> None:
    await record.enqueue(tx, name="of the refused")
    raise HTTPException(409)


@router.post("/refused-and-recorded")
async def refused_and_recorded(tx: Tx, request: Request) -> None:
    async with find(request, Database).begin() as always:
        await record.enqueue(always, name="always")
    await record.enqueue(tx, name="on success")
    raise HTTPException(409)


@router.post("/own-response")
async def own_response(tx: Tx) -> Response:
    await record.enqueue(tx, name="beside a response")
    return JSONResponse({})


@router.post("/orders/{name}")
async def order(name: str, tx: Tx, fails: bool = False, after: float = 0) -> None:
    await once.enqueue(tx, name=f"once {name}", after=after)
    await at_least_once.enqueue(tx, name=f"at least once {name}", after=after)
    if fails:
        raise HTTPException(409)


@router.post("/ends-after-commit/{how}")
async def ends_after_commit(how: str, tx: Tx) -> None:
    ends.after_commit(tx, how=how)


@router.post("/detached")
async def detached(tx: Tx, _: Annotated[Desk, Depends(borrow)]) -> None:
    await looks_around.enqueue(tx, name="enqueued")
    looks_around.after_commit(tx, name="after the commit")


async def take_time(_: FailedAttempt) -> None:
    await asyncio.sleep(float(os.environ.get("HOOK", "0")))


def create_app() -> FastAPI:
    db = database()
    app = FastAPI(lifespan=lifespan(db, jobs_of(db, tasks=TASKS, on_failure=take_time)))
    problems.install(app)
    app.include_router(router)
    return app
