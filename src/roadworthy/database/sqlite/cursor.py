"""`Cursor`: rows of SQLite, fetched with their statement, as aiosqlite has them."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from roadworthy.database.sqlite.connection_thread import ConnectionThread
from roadworthy.database.sqlite.file import Sqlite

__all__ = ["Cursor", "CursorConnection", "Result", "execute"]

Rows: TypeAlias = list[Any]

_CHUNK: Final = 500
"""Rows fetched together with the statement: most results are whole then."""


@dataclass(frozen=True, slots=True)
class Result:
    """The first rows of a statement, and the cursor that holds the rest."""

    cursor: sqlite3.Cursor
    rows: Rows
    more: bool
    """Whether the cursor holds rows that were not fetched yet."""


class CursorConnection(Protocol):
    """The connection of a cursor."""

    sqlite: Sqlite
    thread: ConnectionThread

    async def execute(self, sql: str, parameters: Any, *, many: bool) -> Result:
        """Execute one statement, within the transaction of the connection."""
        ...


class Cursor:
    """A cursor of the shape of `aiosqlite.Cursor`, which SQLAlchemy takes."""

    def __init__(self, connection: CursorConnection) -> None:
        self.arraysize = 1
        self._on = connection
        self._rows: Rows = []
        self._more = False
        self._cursor: sqlite3.Cursor | None = None

    async def __aenter__(self) -> "Cursor":
        return self

    @property
    def description(self) -> Any:
        """Return the columns of the result, as DB-API 2.0 describes them."""
        return None if self._cursor is None else self._cursor.description

    @property
    def rowcount(self) -> int:
        """Return the number of changed rows, -1 where there is none."""
        return -1 if self._cursor is None else self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Return the id of the last inserted row."""
        return None if self._cursor is None else self._cursor.lastrowid

    async def execute(self, sql: str, parameters: Any = ()) -> "Cursor":
        """Execute one statement."""
        return await self._run(sql, parameters, many=False)

    async def executemany(self, sql: str, parameters: Any) -> "Cursor":
        """Execute one statement for each row of parameters."""
        return await self._run(sql, parameters, many=True)

    async def fetchone(self) -> Any:
        """Return the next row, None at the end."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> Rows:
        """Return the next rows, `size` or `arraysize` at most."""
        size = self.arraysize if size is None else size
        if self._more and len(self._rows) < size:
            missing = max(size - len(self._rows), _CHUNK)
            await self._fetch(lambda cursor: cursor.fetchmany(missing), missing)
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    async def fetchall(self) -> Rows:
        """Return all rows that are left."""
        if self._more:
            await self._fetch(lambda cursor: cursor.fetchall(), None)
        rows, self._rows = self._rows, []
        return rows

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._each()

    async def close(self) -> None:
        """Forget the rows that were not fetched."""
        cursor, self._rows = self._cursor, []
        if self._more and cursor is not None:
            self._more = False
            await self._on.thread.run(lambda _: cursor.close())

    async def setinputsizes(self, *_: Any) -> None:
        """Do nothing: SQLite has no input sizes."""

    async def _each(self) -> AsyncIterator[Any]:
        while (row := await self.fetchone()) is not None:
            yield row

    async def _run(self, sql: str, parameters: Any, *, many: bool) -> "Cursor":
        result = await self._on.execute(sql, parameters, many=many)
        self._cursor, self._rows, self._more = result.cursor, result.rows, result.more
        return self

    async def _fetch(self, fetch: Callable[[sqlite3.Cursor], Rows], asked: int | None) -> None:
        cursor = self._cursor
        if cursor is None:
            return
        timeout = self._on.sqlite.statement_timeout
        rows = await self._on.thread.run_within(timeout, lambda _: fetch(cursor))
        self._rows += rows
        self._more = asked is not None and len(rows) == asked


def execute(
    db: sqlite3.Connection, begin: str, sql: str, parameters: Sequence[Any], *, many: bool
) -> Result:
    """Execute a statement in the connection's thread, with `begin` in a transaction."""
    if begin:
        db.execute(begin).close()
    elif not db.in_transaction:
        # A full disk, an I/O error or an interrupt undid it all: the rest must not go in alone.
        raise sqlite3.OperationalError("interrupted: SQLite has rolled the transaction back")
    cursor = db.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(sql, parameters)
    except (OverflowError, UnicodeEncodeError) as error:
        raise sqlite3.DataError(f"{type(error).__name__} in a parameter") from error
    rows = cursor.fetchmany(_CHUNK) if cursor.description else []
    return Result(cursor, rows, more=len(rows) == _CHUNK)
