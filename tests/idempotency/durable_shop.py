"""The same promise on `roadworthy.database`, as an application would write it."""

import asyncio
import logging
import os
import signal
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Response
from shop_tables import GO, NewOrder, database, lines, orders, tables_made
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import idempotency, problems
from roadworthy.database import transaction
from roadworthy.idempotency import Idempotency
from roadworthy.lifespan import lifespan

Tx = Annotated[AsyncSession, transaction(isolation=os.environ.get("SHOP_ISOLATION"))]
once = Idempotency(Tx)


router = APIRouter(prefix="/orders")


@router.post("", status_code=201, dependencies=[once.key])
async def add_order(order: NewOrder, tx: Tx, response: Response) -> Any:
    made = await tx.scalar(sa.insert(orders).values(sku=order.sku).returning(orders.c.id))
    response.headers["Location"] = f"/orders/{made}"
    if order.outcome == "held":
        logging.getLogger("uvicorn.error").info("held")
        while not GO.exists():  # noqa: ASYNC110 - another process makes the file
            await asyncio.sleep(0.01)
    if order.outcome == "crash":
        raise ZeroDivisionError
    if order.outcome == "refused":
        await tx.execute(sa.insert(lines).values(order_id=made + 1000))
    if order.outcome == "commits":
        await tx.commit()
    if order.outcome == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"id": made}


@router.get("")
async def skus(tx: Tx) -> list[str]:
    return list(await tx.scalars(sa.select(orders.c.sku).order_by(orders.c.id)))


@router.post("/sweep")
async def sweep(tx: Tx) -> int:
    return await idempotency.sweep(tx)


app = FastAPI(lifespan=lifespan(database, tables_made()))
app.include_router(router)
problems.install(app)
