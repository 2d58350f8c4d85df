"""The tables, the database and the body that `durable_shop.py` and `sync_shop.py` share."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from pydantic import BaseModel

from roadworthy import tables
from roadworthy.database import Database

GO = Path(os.environ["SHOP_FILES"]) / "go"
"""A file that tests make: an order that is held goes on then."""

orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sku", sa.String, nullable=False),
)
lines = sa.Table(
    "lines",
    orders.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "order_id",
        sa.ForeignKey("orders.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
)
"""What the database judges in the commit."""
database = Database(os.environ["SHOP_URL"])


@asynccontextmanager
async def tables_made() -> AsyncGenerator[None]:
    async with database.begin() as tx:
        connection = await tx.connection()
        await connection.run_sync(orders.metadata.create_all)
        await connection.run_sync(tables.metadata.create_all)
    yield


class NewOrder(BaseModel):
    sku: str
    outcome: str = "made"
