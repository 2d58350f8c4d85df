"""The tables of kept problems, for migrations: `metadata` is also in `roadworthy.tables`."""

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, Text

__all__ = ["counts", "metadata", "table"]

metadata = MetaData()
"""The tables that `ProblemLog` needs."""

table = Table(
    "roadworthy_problems",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", String(100), nullable=False),
    Column("method", String(16), nullable=False),
    Column("route", String(200), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("caller", String(16)),
    Column("exception", String(200)),
    Column("traceback", Text),
    Column("stands_for", Integer, nullable=False),
    Column("reason", String(64)),
)
"""One row a problem that a client was told; ids sort by time (UUID version 7)."""

Index("ix_roadworthy_problems_request", table.c.request_id)
Index("ix_roadworthy_problems_at", table.c.at, table.c.code, table.c.route)

counts = Table(
    "roadworthy_problem_counts",
    metadata,
    Column("begins_at", DateTime(timezone=True), primary_key=True),
    Column("code", String(100), primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    Column("route", String(200), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("problems", Integer, nullable=False),
)
"""One row a quarter of an hour and kind: how many problems there were, kept or not."""
