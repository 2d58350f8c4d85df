"""Connections through a pooler of transactions, such as PgBouncer.

Nothing may be kept from one transaction to the next: no prepared statement, and no
setting. A name that is empty is a statement that lasts until the next one, and the
timeout is set in the same message that begins the transaction.
"""

from importlib import import_module
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["asyncpg_arguments", "limit_each_transaction", "psycopg_arguments"]


def asyncpg_arguments(milliseconds: int) -> dict[str, Any]:
    """Return what asyncpg is given beside its timeouts."""
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,  # ""
        "connection_class": _connection_class(milliseconds),
    }


def psycopg_arguments() -> dict[str, Any]:
    """Return what psycopg is given beside its timeout."""
    return {"prepare_threshold": None}


def limit_each_transaction(engine: AsyncEngine, milliseconds: int) -> None:
    """Set the statement timeout when a transaction begins, where the driver cannot."""

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")

    event.listen(engine.sync_engine, "begin", begin)


def _connection_class(milliseconds: int) -> Any:
    # asyncpg has no types. And it is one of two drivers: only who uses it has it.
    asyncpg: Any = import_module("asyncpg")

    class Pooled(asyncpg.Connection):  # type: ignore[misc]
        """A connection of which each transaction is on its own."""

        async def execute(self, query: str, *args: Any, **options: Any) -> Any:
            # What asyncpg's transactions begin with: no round trip more than without.
            if query.startswith("BEGIN") and not args:
                query = f"{query} SET LOCAL statement_timeout = {milliseconds};"
            theirs: Any = super()
            return await theirs.execute(query, *args, **options)

        async def set_type_codec(self, *args: Any, **options: Any) -> None:
            # It prepares a statement and then asks: that has to be one transaction.
            theirs: Any = super()
            async with self.transaction():
                await theirs.set_type_codec(*args, **options)

    return Pooled
