"""One service with all parts, for every server that people use. `SERVICE_DIR` is its folder."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse

from roadworthy import idempotency, limits, problems
from roadworthy.database import Database, Read, Tx
from roadworthy.health import Health
from roadworthy.idempotency import Idempotency
from roadworthy.jobs import Jobs, task
from roadworthy.jobs import metadata as jobs_metadata
from roadworthy.lifespan import lifespan
from roadworthy.observability import Telemetry
from roadworthy.uploads import Disk, Files, KiB, Stored, Upload
from roadworthy.uploads.types import TEXT

HERE = Path(os.environ["SERVICE_DIR"])

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50)),
    sa.Column("confirmed", sa.Boolean, default=False),
)
database = Database(f"sqlite:///{HERE / 'service.db'}")
once = Idempotency(Tx, ttl=timedelta(hours=1))
texts = Upload(max_bytes=256 * KiB, accept=(TEXT,))
health = Health(version="1", drain=timedelta(seconds=1.5))
health.add("database", database.ping)
listeners = {"now": 0}


@task
async def confirm(order_id: int, tx: Tx) -> None:
    await tx.execute(sa.update(orders).where(orders.c.id == order_id).values(confirmed=True))


@asynccontextmanager
async def tables() -> AsyncIterator[None]:
    async with database.engine.begin() as connection:
        for one in (metadata, jobs_metadata, idempotency.metadata):
            await connection.run_sync(one.create_all)
    yield


app = FastAPI(
    lifespan=lifespan(
        database, tables(), Files(Disk(HERE)), Jobs(database, tasks=[confirm]), health
    )
)
limits.install(app, time=timedelta(seconds=5), body_idle=timedelta(seconds=1))
health.install(app)
Telemetry().install(app)
problems.install(app)


@app.post("/orders", status_code=201, dependencies=[once.key])
async def add(name: str, tx: Tx, wait: float = 0) -> dict[str, int]:
    made = await tx.scalar(sa.insert(orders).values(name=name).returning(orders.c.id))
    await confirm.enqueue(tx, order_id=made)
    await asyncio.sleep(wait)
    return {"id": made}


@app.get("/orders")
async def names(read: Read) -> list[tuple[str, bool]]:
    rows = await read.execute(sa.select(orders.c.name, orders.c.confirmed))
    return [(row.name, row.confirmed) for row in rows]


@app.post("/texts", status_code=201, openapi_extra=texts.openapi)
async def keep(file: Annotated[Stored, texts.file]) -> Stored:
    return file


@app.post("/echo")
async def echo(request: Request) -> int:
    return len(await request.body())


@app.get("/slow", dependencies=[limits.time_limit(timedelta(seconds=0.3))])
async def slow() -> None:
    await asyncio.sleep(60)


@app.get("/crash")
async def crash() -> None:
    raise RuntimeError("secret text")


@app.get("/late")
async def late(tasks: BackgroundTasks) -> str:
    tasks.add_task(crash)
    return "answered"


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[dict[str, int]]:
    listeners["now"] += 1
    try:
        for number in range(10_000):
            yield {"number": number}
            await asyncio.sleep(0.1)
    finally:
        listeners["now"] -= 1


@app.get("/listeners")
async def listening() -> int:
    return listeners["now"]


@app.get("/rows")
async def rows() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 16_384

    return StreamingResponse(pieces(), media_type="text/csv")
