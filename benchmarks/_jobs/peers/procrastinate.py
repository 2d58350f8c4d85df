"""procrastinate, on PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from procrastinate import App, PsycopgConnector, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from _jobs import common
from _jobs.peers import _service

UNFINISHED = "SELECT count(*) FROM procrastinate_jobs"


def make_app(url: str) -> App:
    return App(connector=PsycopgConnector(conninfo=url, min_size=4, max_size=20))


async def create_schema(app: App) -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


# --- the first proof ------------------------------------------------------------------


def prepare(url: str) -> None:
    _service.prepare(url)
    asyncio.run(create_schema(make_app(url)))
    common.result()


def serve(url: str, port: str) -> None:
    queue, make_session = make_app(url), _service.sessions(url, "psycopg")

    @queue.task(name="append", retry=RetryStrategy(max_attempts=5, wait=2))
    async def append(key: str) -> None:
        await _service.append_line(key)

    @queue.task(name="record", retry=RetryStrategy(max_attempts=5, wait=2))
    async def record(key: str) -> None:
        async with make_session.begin() as tx:
            await _service.insert_row(tx, key)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with queue.open_async():
            tasks = [asyncio.create_task(_worker(queue)), asyncio.create_task(_retry(queue))]
            yield
            for one in tasks:
                one.cancel()

    async def enqueue(tx: AsyncSession, key: str) -> None:
        raw = (await (await tx.connection()).get_raw_connection()).driver_connection
        await append.configure(connection=raw).defer_async(key=key)
        await record.configure(connection=raw).defer_async(key=key)

    app = FastAPI(lifespan=life)
    _service.by_hand(app, make_session, enqueue)
    _service.run(app, port)


async def _worker(queue: App) -> None:
    await queue.run_worker_async(
        concurrency=20,
        install_signal_handlers=False,
        update_heartbeat_interval=1,
        stalled_worker_timeout=3,
    )


async def _retry(queue: App) -> None:
    """Retry what a worker that is gone left behind: its guide leaves that to a task."""
    while True:
        await asyncio.sleep(1)
        with contextlib.suppress(Exception):
            stalled = await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=3)
            for job in stalled:
                await queue.job_manager.retry_job(job)


# --- jobs per second ------------------------------------------------------------------


def declare(queue: App, countdown: common.Countdown | None) -> None:
    @queue.task(name="noop")
    async def noop(n: int) -> None:
        assert countdown is not None
        countdown.done()


def fill(url: str, n: str) -> None:
    asyncio.run(_fill(make_app(url), int(n)))
    common.result()


async def _fill(queue: App, n: int) -> None:
    declare(queue, None)
    await create_schema(queue)
    async with queue.open_async():
        await queue.tasks["noop"].batch_defer_async(*({"n": i} for i in range(n)))


def work(url: str, n: str) -> None:
    countdown = common.Countdown(int(n), lambda: int(str(common.query(url, UNFINISHED)[0][0])))
    queue = make_app(url)
    declare(queue, countdown)

    async def main() -> None:
        async with queue.open_async():
            countdown.start()
            await queue.run_worker_async(concurrency=50, delete_jobs="always")

    asyncio.run(main())
