"""The same promise in `def` routes, on `SyncTx`."""

import logging
import os
import signal
import time
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Response
from shop_tables import GO, NewOrder, database, lines, orders, tables_made
from sqlalchemy.orm import Session

from roadworthy import idempotency, problems
from roadworthy.database import sync_transaction
from roadworthy.idempotency import Idempotency
from roadworthy.lifespan import lifespan

Tx = Annotated[Session, sync_transaction(isolation=os.environ.get("SHOP_ISOLATION"))]
once = Idempotency(Tx)


router = APIRouter(prefix="/orders")


@router.post("", status_code=201, dependencies=[once.key])
def add_order(order: NewOrder, tx: Tx, response: Response) -> Any:
    made = tx.scalar(sa.insert(orders).values(sku=order.sku).returning(orders.c.id))
    response.headers["Location"] = f"/orders/{made}"
    if order.outcome == "held":
        logging.getLogger("uvicorn.error").info("held")
        while not GO.exists():
            time.sleep(0.01)
    if order.outcome == "crash":
        raise ZeroDivisionError
    if order.outcome == "refused":
        tx.execute(sa.insert(lines).values(order_id=made + 1000))
    if order.outcome == "commits":
        tx.commit()
    if order.outcome == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"id": made}


@router.get("")
def skus(tx: Tx) -> list[str]:
    return list(tx.scalars(sa.select(orders.c.sku).order_by(orders.c.id)))


@router.post("/sweep")
def sweep(tx: Tx) -> int:
    return idempotency.sweep_sync(tx)


app = FastAPI(lifespan=lifespan(database, tables_made()))
app.include_router(router)
problems.install(app)
