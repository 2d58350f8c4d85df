"""The essence of Depot on FastAPI alone: commit, then hand the rest to a queue.

With PLAIN_ORDER=before, hand it over first and commit then.
"""

import os
from typing import Annotated, Any
from uuid import uuid4

import sqlalchemy as sa
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

from faults.plain import jobs
from faults.plain.tables import database, items, lines, orders

__all__ = ["app"]

FIRST = os.environ.get("PLAIN_ORDER") == "before"
app = FastAPI()


class NewItem(BaseModel):
    quantity: int


class Change(BaseModel):
    description: str


class Line(BaseModel):
    item_id: str
    quantity: int


class NewOrder(BaseModel):
    customer_email: str
    lines: list[Line]


class NewAction(BaseModel):
    action: str


@app.post("/inventory", status_code=201)
def add_item(new: NewItem) -> dict[str, Any]:
    row = {"id": uuid4().hex, "quantity": new.quantity}
    with database().begin() as tx:
        tx.execute(items.insert().values(row))
    return row


@app.get("/inventory/{item_id}")
def read_item(item_id: str) -> dict[str, Any]:
    with database().connect() as connection:
        row = connection.execute(items.select().where(items.c.id == item_id)).one_or_none()
    if row is None:
        raise HTTPException(404)
    return dict(row._mapping)


@app.patch("/inventory/{item_id}")
def change_item(item_id: str, change: Change) -> dict[str, Any]:
    with database().begin() as tx:
        tx.execute(items.update().where(items.c.id == item_id).values(change.model_dump()))
    return read_item(item_id)


@app.post("/orders", status_code=201)
def add_order(new: NewOrder, idempotency_key: Annotated[str, Header()]) -> dict[str, str]:
    with database().begin() as tx:
        same = sa.select(orders.c.id).where(orders.c.key == idempotency_key)
        if (found := tx.scalar(same)) is not None:
            return {"id": found}
        order_id = _write(tx, new, idempotency_key)
        if FIRST:
            _follow(order_id)
    if not FIRST:
        _follow(order_id)
    return {"id": order_id}


@app.post("/users/{user_id}/actions")
def add_action(user_id: str, new: NewAction) -> dict[str, str]:
    jobs.defer(jobs.record_action, user_id, new.action)
    return {"status": "action_completed"}


def _write(tx: sa.Connection, new: NewOrder, key: str) -> str:
    order_id = uuid4().hex
    row = {"id": order_id, "key": key, "customer_email": new.customer_email}
    tx.execute(orders.insert().values(row | {"confirmation": "pending", "invoice": "pending"}))
    for line in new.lines:
        taken = items.c.quantity - line.quantity
        tx.execute(items.update().where(items.c.id == line.item_id).values(quantity=taken))
        tx.execute(lines.insert().values(order_id=order_id, **line.model_dump()))
    return order_id


def _follow(order_id: str) -> None:
    jobs.defer(jobs.send_confirmation, order_id)
    jobs.defer(jobs.make_invoice, order_id)
