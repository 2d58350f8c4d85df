"""Workers of Celery and of RQ: what they do by themselves, and with our engines."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from _jobs import common
from _jobs.peers.roadworthy import UNFINISHED, create_tables
from roadworthy.database import Database
from roadworthy.jobs import Jobs, enqueue_many, task

PROCESSES = 2
ORDERS = "CREATE TABLE orders (id integer)"
ORDER = text("INSERT INTO orders VALUES (:id)")
log = -1


@task
async def relayed(n: int) -> None:
    note(n)


def note(n: int) -> None:
    os.write(log, f"{n} {time.monotonic()}\n".encode())


def open_log(path: str) -> None:
    global log  # noqa: PLW0603 - the tasks are functions of this module
    log = os.open(path, os.O_WRONLY | os.O_APPEND)


def make(host: str, broker: str, name: str) -> Any:
    """Return `host`, which is "celery" or "rq", with this broker and a queue of this name."""
    made: Any = import_module(f"_jobs.peers._on_{host}")
    return made.Host(broker, name)


def parts_on(url: str, engine: Any) -> Callable[[], tuple[Database, Jobs]]:
    """Return what each process opens."""

    def parts() -> tuple[Database, Jobs]:
        db = Database(url)
        return db, Jobs(db, tasks=[relayed], engine=engine)

    return parts


def work(host: str, broker: str, name: str, url: str, path: str) -> None:
    """Be the workers, until they are killed."""
    open_log(path)
    make(host, broker, name).work(url)


def prepare(url: str) -> None:
    create_tables(url)
    common.script(url, ORDERS)
    common.result()


@asynccontextmanager
async def _placing(
    how: str, host: str, broker: str, name: str, url: str
) -> AsyncIterator[tuple[Database, Callable[[int], Awaitable[None]]]]:
    """Open what the server opens, and yield what a handler does."""
    on = make(host, broker, name)
    db = Database(url)

    async def with_delay(n: int) -> None:
        async with db.begin() as tx:
            await tx.execute(ORDER, {"id": n})
        on.delay(n)

    async def with_enqueue(n: int) -> None:
        async with db.begin() as tx:
            await tx.execute(ORDER, {"id": n})
            await relayed.enqueue(tx, n)

    if how == "plain":
        async with db:
            yield db, with_delay
    else:
        async with db, Jobs(db, tasks=[relayed], engine=on.engine):
            yield db, with_enqueue


def place(how: str, path: str, n: str, *where: str) -> None:
    """Place orders one after the other, and report how long each took, and each job."""
    asyncio.run(_place(how, path, int(n), where))


async def _place(how: str, path: str, n: int, where: Sequence[str]) -> None:
    handlers, ends = list[float](), list[float]()
    async with _placing(how, *where) as (_, handler):
        for i in range(n):
            began = time.monotonic()
            await handler(i)
            ends.append(time.monotonic())
            handlers.append(ends[-1] - began)
            await asyncio.sleep(0.005)
        times = await _all_of(path, n)
    starts = [times[i] - ends[i] for i in range(n)]
    share = common.percentile
    common.result(
        handler=share(handlers, 0.5),
        handler_99=share(handlers, 0.99),
        start=share(starts, 0.5),
        start_99=share(starts, 0.99),
    )


def backlog(how: str, path: str, n: str, *where: str) -> None:
    """Leave a backlog, and report how long it is worked on once the worker has begun."""
    asyncio.run(_backlog(how, path, int(n), where))


async def _backlog(how: str, path: str, n: int, where: Sequence[str]) -> None:
    async with _placing(how, *where) as (db, _):
        if how == "plain":
            await asyncio.to_thread(_delay_all, make(*where[:3]), n)
        else:
            async with db.begin() as tx:
                await _enqueue_all(tx, n)
        os.write(1, b"filled\n")
        times = await _all_of(path, n)
        last = max(times.values())
        if how != "plain":
            await asyncio.to_thread(_wait_for_notes, where[3])
            last = time.monotonic()
    common.result(took=last - min(times.values()))


def _wait_for_notes(url: str) -> None:
    while common.query(url, UNFINISHED)[0][0]:
        time.sleep(0.01)


def _delay_all(on: Any, n: int) -> None:
    for i in range(n):
        on.delay(i)


async def _enqueue_all(tx: AsyncSession, n: int) -> None:
    await enqueue_many(tx, [relayed.call(i) for i in range(n)])


async def _all_of(path: str, n: int) -> dict[int, float]:
    while True:
        with open(path) as file:  # noqa: ASYNC230, PTH123 - a small file in memory
            lines = [line.split() for line in file]
        if len(lines) >= n:
            return {int(number): float(at) for number, at in lines}
        await asyncio.sleep(0.02)


def clean(host: str, broker: str, name: str) -> None:
    """Remove the queues: the server is not only ours."""
    make(host, broker, name).clean()
    if broker.startswith("redis"):
        import redis

        with redis.Redis.from_url(broker) as server:
            for key in server.scan_iter(f"*{name}*"):
                server.delete(key)
    common.result()
