"""Bring the database to the schema of this version."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy.database import Database

__all__ = ["SchemaMismatch", "alembic_config", "check", "migrate", "prepare"]

_LOCK: Final = 0x6465706F74
"""The advisory lock of PostgreSQL that a migration holds: "depot" in ASCII."""


class SchemaMismatch(Exception):
    """The schema is not the one of this version; the text says what to type."""


async def migrate(db: Database) -> None:
    """Bring the schema to head, in one transaction; others wait until it is there.

    Raises:
        SchemaMismatch: The database was made by a newer version.
    """
    async with db.begin() as tx:
        connection = await _locked(tx)
        await connection.run_sync(_upgrade)


async def prepare(db: Database) -> None:
    """Make the schema where that is safe without asking, else only check it.

    A SQLite file belongs to this service alone, and an empty database to nobody. A
    PostgreSQL schema that exists may be serving other processes right now.

    A newer one is served on: a process of this version may start again while the next
    version is rolled out.

    Raises:
        SchemaMismatch: The schema is older, or a SQLite file is newer.
    """
    async with db.begin() as tx:
        connection = await _locked(tx)
        revision = await connection.run_sync(_revision)
        if revision is None or connection.dialect.name == "sqlite":
            await connection.run_sync(_upgrade)
        elif _knows(revision) and revision != _head():
            raise SchemaMismatch(
                "The database has another schema than this version of Depot: run `depot migrate`."
            )


async def check(db: Database) -> str | None:
    """Return None if the schema is the one of this version; on a connection of its own.

    A newer one is a reason to say so, and none to stop: while a new version is rolled out,
    the old one serves on. A migration adds what the next version needs, and a later one
    removes what no version does any more.

    Raises:
        SchemaMismatch: It is older.
    """
    async with db.apart() as connection:
        revision = await connection.run_sync(_revision)
    if not _knows(revision):
        return f"the schema is {revision}, of a newer version"
    if revision != _head():
        raise SchemaMismatch(f"the schema is {revision}, and this version wants {_head()}")
    return None


def alembic_config(connection: Connection) -> Config:
    """Return what Alembic's commands take, for this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


async def _locked(tx: AsyncSession) -> AsyncConnection:
    connection = await tx.connection()
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    return connection


def _upgrade(connection: Connection) -> None:
    if not _knows(_revision(connection)):
        raise SchemaMismatch(
            "The database was migrated by a newer version of Depot: install that version."
        )
    command.upgrade(alembic_config(connection), "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).with_name("migrations")))


def _head() -> str | None:
    return _scripts().get_current_head()


def _knows(revision: str | None) -> bool:
    return revision is None or any(
        script.revision == revision for script in _scripts().walk_revisions()
    )
