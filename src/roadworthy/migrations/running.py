"""`run`: what an environment of Alembic does, for the service that pyproject.toml describes."""

import asyncio
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

from alembic import context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, MetaData, create_engine, event, text
from sqlalchemy.pool import NullPool

from roadworthy.database import Database

__all__ = ["run"]

_LOCK: Final = 0x726F6164
"""The advisory lock of PostgreSQL that a migration holds: "road" in ASCII."""
_PATIENCE: Final = 60.0
"""Seconds to wait for whoever writes to a SQLite file."""
_SAY: Final = {
    "database": '"shop.app:database_url"',
    "tables": '["shop.models:metadata"]',
}


def run(config: Config) -> None:
    """Run the migrations that an Alembic command asks for; `env.py` calls this and nothing else.

    Of `[tool.alembic]`, `database` names the URL, or a function that returns one, and `tables`
    each `MetaData` that the database should have. Migrations run in one transaction; on
    PostgreSQL a second process waits until the first one is done.

    Raises:
        CommandError: One of these is missing, or leads to something else.
    """
    url = _url(config)
    tables = [_metadata(name) for name in _listed(config, "tables")]
    if context.is_offline_mode():
        _migrate(tables, url=url, literal_binds=True)
    else:
        # A migration may take as long as it takes.
        _run_on(Database(url, statement_timeout=timedelta(0)), tables)


def _run_on(db: Database, tables: list[MetaData]) -> None:
    if db.url.get_backend_name() == "sqlite":
        _run_on_sqlite(db.url, tables)
    else:
        asyncio.run(_run_on_postgresql(db, tables))


def _run_on_sqlite(url: URL, tables: list[MetaData]) -> None:
    # `Database` enforces foreign keys, and then SQLite, which changes a column by making the
    # table anew, would delete the rows that refer to it. So they are checked at the end.
    engine = create_engine(
        url.set(drivername="sqlite"),
        poolclass=NullPool,
        connect_args={"timeout": _PATIENCE, "isolation_level": None},
    )
    event.listen(engine, "begin", _begin)
    with engine.begin() as connection:
        _migrate(tables, connection=connection)
        if lost := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise CommandError(f"A row of {lost[0]} would refer to no row of {lost[2]}.")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _run_on_postgresql(db: Database, tables: list[MetaData]) -> None:
    async with db, db.engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(lambda each: _migrate(tables, connection=each))


def _migrate(tables: list[MetaData], **where: Any) -> None:
    # SQLite changes a column by making the table anew: in batches, on either database.
    context.configure(target_metadata=tables, render_as_batch=True, **where)
    with context.begin_transaction():
        context.run_migrations()


def _url(config: Config) -> str:
    [name] = _listed(config, "database")
    found = _named(name)
    return str(found() if callable(found) else found)


def _metadata(name: str) -> MetaData:
    found = _named(name)
    if not isinstance(found, MetaData):
        raise CommandError(f"tables: {name} is no MetaData. Write tables = {_SAY['tables']}.")
    return found


def _listed(config: Config, key: str) -> list[str]:
    said: Any = config.get_alembic_option(key)
    if not said:
        raise CommandError(f"[tool.alembic] has no {key}. Write {key} = {_SAY[key]}.")
    return [said] if isinstance(said, str) else list(said)


def _named(name: str) -> Any:
    """Return what `module:name.attribute` names."""
    module, _, path = name.partition(":")
    try:
        found = import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise CommandError(f"[tool.alembic] names {name}, and: {error}.") from error
    return found
