"""A shop that takes orders: what the tests of this folder serve, with a session of its own."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from roadworthy import idempotency, problems
from roadworthy.idempotency import Idempotency, Key
from roadworthy.problems import Conflict

URL = os.environ["SHOP_URL"].replace("sqlite:", "sqlite+aiosqlite:")
URL = URL.replace("postgresql:", "postgresql+asyncpg:")
FILES = Path(os.environ["SHOP_FILES"])

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sku", sa.String, nullable=False),
)


def make_engine() -> AsyncEngine:
    if not URL.startswith("sqlite"):
        isolation = os.environ.get("SHOP_ISOLATION", "READ COMMITTED")
        return create_async_engine(URL, isolation_level=isolation)
    engine = create_async_engine(URL, connect_args={"timeout": 20, "isolation_level": None})

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(os.environ.get("SHOP_BEGIN", "BEGIN IMMEDIATE"))

    return engine


engine = make_engine()


async def tx(request: Request) -> AsyncGenerator[AsyncSession]:
    async with AsyncSession(engine) as session, session.begin():
        yield session
        await session.flush()
        if request.headers.get("x-kill") == "before-commit":
            os.kill(os.getpid(), signal.SIGKILL)


def clock() -> datetime:
    file = FILES / "clock"
    return datetime.fromtimestamp(float(file.read_text()), UTC) if file.exists() else now()


def now() -> datetime:
    return datetime.now(UTC)


Tx = Annotated[AsyncSession, Depends(tx, scope="function")]
once = Idempotency(
    Tx,
    wait=timedelta(seconds=float(os.environ.get("SHOP_WAIT", "20"))),
    max_bytes=1000,
    clock=clock,
)
by_shop = Idempotency(Tx, caller=lambda request: request.headers["x-shop"])


@asynccontextmanager
async def life(app: FastAPI) -> AsyncGenerator[None]:
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql("select pg_advisory_xact_lock(1)")
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(idempotency.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=life)
problems.install(app)


class NewOrder(BaseModel):
    sku: str
    outcome: str = "made"


@app.post("/orders", status_code=201)
async def add_order(
    order: NewOrder,
    key: Annotated[Key | None, once.key],
    session: Tx,
    request: Request,
    response: Response,
) -> Any:
    made = await session.scalar(sa.insert(orders).values(sku=order.sku).returning(orders.c.id))
    response.headers["Location"] = f"/orders/{made}"
    response.headers["ETag"] = f'"{made}"'
    response.headers.append("X-Job-ID", "one")
    response.headers.append("X-Job-ID", "two")
    response.set_cookie("session", "secret")
    match order.outcome:
        case "held":
            await held()
        case "conflict":
            raise Conflict
        case "returned-conflict":
            return JSONResponse({"no": "way"}, 409)
        case "crash":
            raise ZeroDivisionError
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            pass
    return {"id": made, "sku": order.sku}


async def held() -> None:
    """Say that the order is written, and go on when the test says so."""
    logging.getLogger("uvicorn.error").info("held")
    while not (FILES / "go").exists():  # noqa: ASYNC110 - another process makes the file
        await asyncio.sleep(0.01)


@app.patch("/orders/{order_id}", status_code=204, dependencies=[once.key])
async def change_order(order_id: int, sku: str, session: Tx) -> None:
    await session.execute(sa.insert(orders).values(sku=sku))


@app.put("/orders/{order_id}", dependencies=[once.key])
async def put_order(order_id: int, session: Tx) -> None:
    await session.execute(sa.insert(orders).values(sku="put"))


@app.post("/files", dependencies=[once.key])
async def add_file(name: Annotated[str, Form()], file: UploadFile, session: Tx) -> dict[str, Any]:
    await session.execute(sa.insert(orders).values(sku=name))
    return {"size": len(await file.read())}


@app.post("/strict")
async def strict(key: Annotated[Key, once.required], session: Tx) -> str:
    await session.execute(sa.insert(orders).values(sku=str(key)))
    return key.value


@app.post("/shops", dependencies=[by_shop.key])
async def shops(request: Request, session: Tx) -> None:
    await session.execute(sa.insert(orders).values(sku=request.headers["x-shop"]))


@app.post("/stream", dependencies=[once.key])
async def stream(session: Tx) -> StreamingResponse:
    await session.execute(sa.insert(orders).values(sku="stream"))
    return StreamingResponse(iter(["a", "b"]))


@app.post("/large", dependencies=[once.key])
async def large(session: Tx) -> str:
    await session.execute(sa.insert(orders).values(sku="large"))
    return "x" * 1001


@app.get("/orders")
async def skus(session: Tx) -> list[str]:
    return list(await session.scalars(sa.select(orders.c.sku).order_by(orders.c.id)))


@app.get("/keys")
async def keys(session: Tx) -> int:
    return await session.scalar(sa.select(sa.func.count()).select_from(idempotency.table)) or 0


@app.post("/sweep")
async def sweep(session: Tx, limit: int = 1000) -> int:
    return await idempotency.sweep(session, now=clock(), limit=limit)
