"""Tell which table or column of a part a database lacks, and what to type."""

from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["check_tables", "lacking"]


def lacking(connection: Connection, metadata: MetaData) -> str | None:
    """Return the first table or column that a database lacks, or None."""
    inspector = inspect(connection)
    for wanted in metadata.sorted_tables:
        if not inspector.has_table(wanted.name):
            return f"table {wanted.name}"
        there = {column["name"] for column in inspector.get_columns(wanted.name)}
        for column in wanted.columns:
            if column.name not in there:
                return f"column {wanted.name}.{column.name}"
    return None


async def check_tables(engine: AsyncEngine, metadata: MetaData, *, migration: str) -> None:
    """Refuse a database without the tables of a part; one that is away is waited for.

    Args:
        engine: Where the tables should be.
        metadata: The tables.
        migration: What the migration that adds them may be called.

    Raises:
        RuntimeError: The database lacks one; the text says what to do.
    """
    try:
        async with engine.connect() as connection:
            missing = await connection.run_sync(lacking, metadata)
    except Exception:  # whatever a driver raises: the database is away, and the part waits for it
        return
    if missing is not None:
        raise RuntimeError(
            f"The database has no {missing}. Add roadworthy.tables.metadata to "
            "target_metadata in migrations/env.py and make a migration: `alembic revision "
            f"--autogenerate -m {migration}`, then `alembic upgrade head`; for a new "
            "database without Alembic: `async with db.engine.begin() as c: "
            "await c.run_sync(metadata.create_all)`."
        )
