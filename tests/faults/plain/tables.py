"""The tables of the plain service: those of Depot that the audit reads."""

import os
from functools import cache

import sqlalchemy as sa

__all__ = ["actions", "database", "invoices", "items", "lines", "metadata", "orders"]

metadata = sa.MetaData()

items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("description", sa.String),
)
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("key", sa.String, unique=True),
    sa.Column("customer_email", sa.String, nullable=False),
    sa.Column("confirmation", sa.String, nullable=False),
    sa.Column("invoice", sa.String, nullable=False),
)
lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("order_id", sa.String, nullable=False),
    sa.Column("item_id", sa.String, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
)
# What jobs write has no key that would hide that one ran twice.
invoices = sa.Table("invoices", metadata, sa.Column("order_id", sa.String, nullable=False))
actions = sa.Table(
    "user_actions",
    metadata,
    sa.Column("user_id", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
)


@cache
def database() -> sa.Engine:
    """Return the database that the environment names."""
    return sa.create_engine(os.environ["PLAIN_DATABASE"], pool_pre_ping=True, pool_size=20)
