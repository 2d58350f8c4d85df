"""Connections through a transaction pooler, such as PgBouncer: no session state.

Nothing may be kept from one transaction to the next: no prepared statement, and no
setting. A name that is empty is a statement that lasts until the next one, and the
settings are given in the same message that begins the transaction.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["asyncpg_arguments", "psycopg_arguments", "set_for_each_transaction"]

_LISTS: Final = {"search_path", "temp_tablespaces"}
"""Settings that are lists of names."""


def asyncpg_arguments(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of asyncpg for a pooler, beside its timeouts."""
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,  # ""
        "connection_class": _connection_class(settings),
    }


def psycopg_arguments() -> dict[str, Any]:
    """Return the arguments of psycopg for a pooler, beside its timeout."""
    return {"prepare_threshold": None}


def set_for_each_transaction(engine: AsyncEngine, settings: Mapping[str, str]) -> None:
    """Send the settings at the beginning of each transaction, where the driver cannot."""
    statements = _statements(settings)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statements)

    event.listen(engine.sync_engine, "begin", begin)


def _statements(settings: Mapping[str, str]) -> str:
    return "; ".join(f"SET LOCAL {_name(key)} = {_value(key, settings[key])}" for key in settings)


def _name(name: str) -> str:
    return ".".join(_quoted(part, '"') for part in name.split("."))


def _value(name: str, value: str) -> str:
    if name in _LISTS and value:  # one string would be one name, with commas in it
        return ", ".join(part.strip() for part in value.split(","))
    return _quoted(value, "'")


def _quoted(text: str, mark: str) -> str:
    return f"{mark}{text.replace(mark, mark * 2)}{mark}"


def _connection_class(settings: Mapping[str, str]) -> Any:
    # asyncpg has no types. And it is one of two drivers: only who uses it has it.
    asyncpg: Any = import_module("asyncpg")
    statements = _statements(settings)

    class Pooled(asyncpg.Connection):  # type: ignore[misc]
        """A connection that keeps nothing from one transaction to the next."""

        async def execute(self, query: str, *args: Any, **options: Any) -> Any:
            # What asyncpg's transactions begin with: no round trip more than without.
            if query.startswith("BEGIN") and not args:
                query = f"{query} {statements};"
            theirs: Any = super()
            return await theirs.execute(query, *args, **options)

        async def set_type_codec(self, *args: Any, **options: Any) -> None:
            # It prepares a statement and then asks: that has to be one transaction.
            theirs: Any = super()
            async with self.transaction():
                await theirs.set_type_codec(*args, **options)

    return Pooled
