"""The tables of events, for migrations: `metadata` is also in `roadworthy.tables`."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

__all__ = ["ORDER", "metadata", "order", "table"]

metadata = MetaData()
"""The tables that `Events` needs."""

ORDER: Final = "events"
"""The one row of `roadworthy_event_order`."""

table = Table(
    "roadworthy_events",
    metadata,
    # SQLite numbers the rows of an INTEGER PRIMARY KEY only.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("position", BigInteger),
    Column("topic", String(200), nullable=False),
    Column("name", String(100)),
    Column("data", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
"""One row an event: `id` is the order of writing, `position` that of telling.

A row without a position is committed, and its place in the order is not settled yet.
"""

order = Table(
    "roadworthy_event_order",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("pruned", BigInteger, nullable=False),
)
"""The last position that was given, and the last whose event was pruned."""

Index("uq_roadworthy_events_position", table.c.position, unique=True)
Index("ix_roadworthy_events_topic", table.c.topic, table.c.position)
Index(
    "ix_roadworthy_events_unordered",
    table.c.id,
    sqlite_where=text("position IS NULL"),
    postgresql_where=text("position IS NULL"),
)
