"""roadworthy.jobs, on SQLite and on PostgreSQL."""

import asyncio
import os
import time

from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession

from _jobs import common
from _jobs.peers import _service
from roadworthy import jobs, problems
from roadworthy.database import Database, Tx
from roadworthy.jobs import Jobs, enqueue_many, run_worker, task
from roadworthy.lifespan import lifespan

UNFINISHED = "SELECT count(*) FROM roadworthy_jobs WHERE state <> 'succeeded'"


def create_tables(url: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    jobs.metadata.create_all(engine)
    engine.dispose()


# --- the first proof ------------------------------------------------------------------


@task
async def append(key: str) -> None:
    await _service.append_line(key)


@task
async def record(tx: AsyncSession, key: str) -> None:
    await _service.insert_row(tx, key)


def prepare(url: str) -> None:
    _service.prepare(url)
    create_tables(url)
    common.result()


def serve(url: str, port: str) -> None:
    db = Database(url)
    app = FastAPI(lifespan=lifespan(db, Jobs(db, tasks=[append, record])))

    @app.post("/orders/{key}/{kind}", status_code=201)
    async def place(key: str, kind: str, tx: Tx) -> dict[str, str]:
        await _service.insert_order(tx, key)
        await append.enqueue(tx, key=key)
        await record.enqueue(tx, key=key)
        await _service.misbehave(kind)
        return {"key": key}

    problems.install(app)
    _service.run(app, port)


# --- jobs per second ------------------------------------------------------------------

countdown: common.Countdown


@task
async def noop(n: int) -> None:
    countdown.done()


started: list[asyncio.Future[float]] = []


@task
async def mark(n: int) -> None:
    started[n].set_result(time.perf_counter())


def hold(url: str, seconds: str) -> None:
    """Work for so long, and report the most memory it took."""
    global countdown  # noqa: PLW0603 - the task is a function of this module
    countdown = common.Countdown(2**40)
    db = Database(url)

    async def main() -> None:
        await asyncio.sleep(float(seconds))
        common.result(rss=common.peak_rss(os.getpid()))

    async def both() -> None:
        await asyncio.gather(main(), run_worker(db, Jobs(db, tasks=[noop])))

    asyncio.run(both())


def fill(url: str, n: str) -> None:
    create_tables(url)
    asyncio.run(_fill(url, int(n)))
    common.result()


async def _fill(url: str, n: int) -> None:
    db = Database(url)
    async with lifespan(db)(FastAPI()), db.begin() as tx:
        await enqueue_many(tx, [noop.call(n=i) for i in range(n)])


def work(url: str, n: str) -> None:
    global countdown  # noqa: PLW0603 - the task is a function of this module
    countdown = common.Countdown(int(n), lambda: int(str(common.query(url, UNFINISHED)[0][0])))
    db = Database(url)

    async def main() -> None:
        countdown.start()
        await run_worker(db, Jobs(db, tasks=[noop]))

    if os.environ.get("UVLOOP"):
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())


# --- the loop -------------------------------------------------------------------------


@task(runs_on="cpu")
def burn(seconds: float) -> None:
    _service.burn(seconds)


def spin(url: str, port: str) -> None:
    create_tables(url)
    db = Database(url)
    app = FastAPI(lifespan=lifespan(db, Jobs(db, tasks=[burn])))

    @app.get("/ping")
    async def ping() -> dict[str, bool]:
        return {"ok": True}

    @app.post("/burn/{jobs}/{seconds}", status_code=202)
    async def start(jobs: int, seconds: float, tx: Tx) -> dict[str, bool]:
        await enqueue_many(tx, [burn.call(seconds=seconds) for _ in range(jobs)])
        return {"ok": True}

    problems.install(app)
    _service.run(app, port)
