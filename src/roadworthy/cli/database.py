"""The database of a command, and its errors in one line."""

import asyncio
import logging
import os
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from roadworthy._internal.extras import extra

with extra("jobs", of="roadworthy jobs"):
    from sqlalchemy import Table, inspect
    from sqlalchemy.engine import URL

from roadworthy.cli.parsing import Mistake
from roadworthy.database import Database, reason

__all__ = ["VARIABLE", "add_option", "run_on"]

VARIABLE: Final = "ROADWORTHY_DATABASE_URL"
"""The variable that names the database where `--database` does not."""

_SAY: Final = f"sqlite:///file.db or postgresql://user@host/name, by --database or {VARIABLE}"


def add_option(parser: ArgumentParser) -> None:
    """Add the option `--database` to a command."""
    says = f"sqlite:///file.db or postgresql://user@host/name; else the variable {VARIABLE}"
    # Suppressed, because a default of the inner parser would hide what the outer one read.
    parser.add_argument("--database", metavar="URL", default=SUPPRESS, help=says)


def run_on(
    chosen: Namespace, table: Table, use: Callable[[Database], Awaitable[int]], *, writes: bool
) -> int:
    """Open the database that was chosen, and use it if it has the table.

    Raises:
        Mistake: There is none, or it cannot be used.
    """
    url = getattr(chosen, "database", None) or os.environ.get(VARIABLE)
    if not url:
        raise Mistake(f"Name the database: {_SAY}.")
    database = _database(url, writes=writes)
    # What it logs is what is told below, in one line.
    logging.getLogger("roadworthy.database").addHandler(logging.NullHandler())
    try:
        return asyncio.run(_use(database, table, use))
    except (Mistake, BrokenPipeError):
        raise
    except Exception as error:  # whatever a driver raises, an operator wants one line
        raise Mistake(
            f"{database.url} cannot be used: {reason(error)}. If it is another one, name that by "
            f"--database or {VARIABLE}."
        ) from error


def _database(url: str, *, writes: bool) -> Database:
    try:
        # Who only reads need not wait for SQLite's writer, which "full" asks for at the start.
        database = Database(url, synchronous="full" if writes else "normal")
    except (ModuleNotFoundError, ValueError) as error:
        raise Mistake(f"{error} Give {_SAY}.") from error
    _refuse_to_create(database.url)
    return database


def _refuse_to_create(url: URL) -> None:
    """Refuse a SQLite file that is not there: opening it would make an empty one."""
    path = url.database or ""
    if url.get_backend_name() != "sqlite" or path.startswith("file:"):
        return
    if not Path(path).is_file():
        raise Mistake(f"There is no file {path or 'in the URL'}. Give {_SAY}.")


async def _use(database: Database, table: Table, use: Callable[[Database], Awaitable[int]]) -> int:
    async with database:
        async with database.read_engine.connect() as connection:
            there = await connection.run_sync(lambda db: inspect(db).has_table(table.name))
        if not there:
            raise Mistake(
                f"The database has no table {table.name}. Is it the right one, and is it migrated? "
                "Its tables are in roadworthy.tables.metadata."
            )
        return await use(database)
