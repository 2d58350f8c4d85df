"""The tables of these services: what their tasks did, one row for each time."""

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text, insert
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import jobs

metadata = MetaData()

effects = Table(
    "effect",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Float, nullable=False),
)

ALL = (metadata, jobs.metadata)


async def note(tx: AsyncSession, name: str, at: float, text: str = "") -> None:
    """Write that something was done."""
    await tx.execute(insert(effects), {"name": name, "note": text, "at": at})
