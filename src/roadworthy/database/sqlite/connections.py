"""`Sqlite`: one writer in a fair queue, readers beside it, and shared syncs.

SQLAlchemy's aiosqlite dialect takes any driver connection of aiosqlite's shape.
`WriteConnection` and `ReadConnection` have it. All write connections share one real
connection: a transaction takes its turn with its first statement (`BEGIN IMMEDIATE`)
and gives it to the next with its commit, before it waits for the disk. So nobody
meets "database is locked", nobody overtakes, and a commit that has returned is durable.
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal, TypeAlias

from roadworthy.database import metrics
from roadworthy.database.sqlite.connection_thread import ConnectionThread
from roadworthy.database.sqlite.group_commit import GroupCommit, sync_file

__all__ = ["ReadConnection", "Sqlite", "Synchronous", "WriteConnection"]

Synchronous: TypeAlias = Literal["full", "normal"]
"""When a commit counts: on the disk, or in the hands of the operating system."""
Rows: TypeAlias = list[Any]

_WRITERS: Final = "write"
"""What their turns are called where pools are told of."""
_CHUNK = 500
"""Rows fetched together with the statement: most results are whole then."""


@dataclass(frozen=True, slots=True)
class _Result:
    cursor: sqlite3.Cursor
    rows: Rows
    more: bool
    """Whether the cursor holds rows that were not fetched yet."""


class Sqlite:
    """One SQLite file: its writer, and the settings of its connections."""

    def __init__(
        self,
        path: str,
        *,
        uri: bool,
        synchronous: Synchronous,
        busy: timedelta,
        statement_timeout: timedelta,
        options: Mapping[str, Any],
    ) -> None:
        self.path, self.uri, self.options = path, uri, dict(options)
        self.synchronous: Synchronous = synchronous
        self.busy = busy.total_seconds()
        self.statement_timeout = statement_timeout.total_seconds() or None
        self.writer = ConnectionThread(lambda: self._connect(query_only=False))
        self.turn = asyncio.Lock()
        self.waiting = 0
        """Writers that wait for their turn."""
        self.durable: GroupCommit | None = None
        self._syncer = ConnectionThread(_no_database)
        self._wal: int | None = None

    @property
    def in_memory(self) -> bool:
        """Return whether there is no file: one connection then serves readers too."""
        return self.path in {"", ":memory:"} or "mode=memory" in self.path

    @property
    def may_write(self) -> bool:
        """Return whether this process still writes: not once a sync has failed."""
        return self.durable is None or not self.durable.failed

    async def open(self) -> None:
        """Open the writer, and the WAL file where syncing it is on us."""
        try:
            await self.writer.open()
        except sqlite3.OperationalError as error:
            raise sqlite3.OperationalError(f"{error}: {self.path}") from error
        wal = await self.writer.run(_wal_path)
        if wal is None or self.synchronous != "full" or sys.platform == "win32":
            return
        self._wal = os.open(wal, os.O_RDWR)
        await self._syncer.open()
        self.durable = GroupCommit(self._sync)
        await self.writer.run(lambda db: db.execute("PRAGMA synchronous=NORMAL"))

    async def close(self) -> None:
        """Wait for the last sync, and close the writer and the files."""
        if self.durable is not None:
            await self.durable.close()
        self.durable = None
        await self._syncer.close()
        if self._wal is not None:
            os.close(self._wal)
            self._wal = None
        await self.writer.close()

    async def connect_writer(self, *_: Any, **__: Any) -> "WriteConnection":
        """Return a connection that shares the writer."""
        return WriteConnection(self)

    async def connect_reader(self, *_: Any, **__: Any) -> "ReadConnection":
        """Return a connection of its own that cannot write."""
        lane = ConnectionThread(lambda: self._connect(query_only=True))
        await lane.open()
        return ReadConnection(self, lane)

    def turns(self) -> metrics.PoolState:
        """Return the state of the writer's queue, as that of a pool of one connection."""
        used = int(self.turn.locked())
        return metrics.PoolState(_WRITERS, used, 1 - used, 1, self.waiting)

    def sync_now(self) -> None:
        """Sync the WAL file from the thread that calls; once that failed, write no more."""
        if self._wal is None or self.durable is None:
            return
        try:
            sync_file(self._wal)
        except OSError as error:
            self.durable.fail(error)
            raise

    async def _sync(self) -> None:
        await self._syncer.run(lambda _: self.sync_now())

    def _connect(self, *, query_only: bool) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(
            self.path,
            uri=self.uri,
            timeout=self.busy,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            **self.options,
        )
        try:
            for pragma in self._pragmas(query_only=query_only):
                connection.execute(f"PRAGMA {pragma}").close()
        except BaseException:
            connection.close()
            raise
        return connection

    def _pragmas(self, *, query_only: bool) -> list[str]:
        if query_only:
            return ["query_only=ON"]
        return ["journal_mode=WAL", f"synchronous={self.synchronous}", "foreign_keys=ON"]


class _Connection:
    """A connection of the shape of `aiosqlite.Connection`, which SQLAlchemy takes."""

    begin: str

    def __init__(self, sqlite: Sqlite, lane: ConnectionThread) -> None:
        self.sqlite, self.lane = sqlite, lane
        self.began = False
        self.isolation_level: str | None = None
        # SQLAlchemy skips commit and rollback where this is None.
        self._connection: object | None = self

    def cursor(self) -> "_Cursor":
        return _Cursor(self)

    async def execute(self, sql: str, parameters: Any, *, many: bool) -> _Result:
        """Execute one statement, in a transaction that begins with the first one."""
        await self._before()
        begin = "" if self.began else self.begin
        self.began = True
        return await self.lane.run_within(
            self.sqlite.statement_timeout,
            lambda db: _execute(db, begin, sql, parameters, many=many),
        )

    async def create_function(self, *args: Any, **kwargs: Any) -> None:
        await self.lane.run(lambda db: db.create_function(*args, **kwargs))

    async def commit(self) -> None:
        raise NotImplementedError

    async def rollback(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    async def _before(self) -> None:
        """Prepare for a statement: a writer takes its turn."""


class ReadConnection(_Connection):
    """A connection that only reads, on its own thread; a transaction is a snapshot."""

    begin = "BEGIN"

    async def commit(self) -> None:
        """End the snapshot, as `rollback` does."""
        await self.rollback()

    async def rollback(self) -> None:
        """End the snapshot, once everything it may have shown is on the disk."""
        if not self.began:
            return
        self.began = False
        await self.lane.run(_rollback)
        durable = self.sqlite.durable
        if durable is not None and durable.pending:
            await durable.wait()

    async def close(self) -> None:
        """Close the connection and its thread."""
        self._connection = None
        await self.lane.close()

    def stop(self) -> None:
        """Close the connection without waiting."""
        self._connection = None
        self.lane.stop()


class WriteConnection(_Connection):
    """A turn at the writer: taken with the first statement, given back at the end."""

    begin = "BEGIN IMMEDIATE"

    def __init__(self, sqlite: Sqlite) -> None:
        super().__init__(sqlite, sqlite.writer)
        self.has_turn = False

    async def commit(self) -> None:
        """Commit, let the next one write, and return when the disk has it."""
        if not self.has_turn:
            return
        durable = self.sqlite.durable
        if durable is None:
            await self._commit(_commit)
            return
        with durable.promised():
            if self.sqlite.waiting or durable.busy:
                await self._commit(_commit)
                await durable.wait()
            else:
                # Nobody would share the sync: do it in one job, which saves a thread switch.
                await self._commit(self._commit_and_sync)

    async def _commit(self, job: Callable[[sqlite3.Connection], None]) -> None:
        try:
            await self.lane.run(job)
        finally:
            self._give_turn()

    def _commit_and_sync(self, db: sqlite3.Connection) -> None:
        _commit(db)
        try:
            self.sqlite.sync_now()
        except OSError as error:
            raise sqlite3.OperationalError("disk I/O error: the sync failed") from error

    async def rollback(self) -> None:
        """Roll back, and let the next one write."""
        if not self.has_turn:
            return
        try:
            await self.lane.run(_rollback)
        finally:
            self._give_turn()

    async def close(self) -> None:
        """Roll back what is open; the writer stays for the others."""
        self._connection = None
        await self.rollback()

    def stop(self) -> None:
        """Roll back what is open without waiting: jobs keep their order."""
        self._connection = None
        if self.has_turn:
            task = asyncio.ensure_future(self.lane.run(_rollback))
            task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)
            self._give_turn()

    async def _before(self) -> None:
        if self.has_turn:
            return
        if self.sqlite.durable is not None:
            self.sqlite.durable.check()
        await self._take_turn()

    async def _take_turn(self) -> None:
        began = perf_counter()
        self.sqlite.waiting += 1
        try:
            async with asyncio.timeout(self.sqlite.busy if self.sqlite.turn.locked() else None):
                await self.sqlite.turn.acquire()
        except TimeoutError:
            metrics.timed_out(_WRITERS)
            raise sqlite3.OperationalError("database is locked: waited for the writer") from None
        finally:
            self.sqlite.waiting -= 1
        self.has_turn = True
        metrics.waited(_WRITERS, perf_counter() - began)

    def _give_turn(self) -> None:
        if self.has_turn:
            self.has_turn = self.began = False
            self.sqlite.turn.release()


class _Cursor:
    """A cursor of the shape of `aiosqlite.Cursor`, which SQLAlchemy takes."""

    def __init__(self, connection: _Connection) -> None:
        self.arraysize = 1
        self._on = connection
        self._rows: Rows = []
        self._more = False
        self._cursor: sqlite3.Cursor | None = None

    async def __aenter__(self) -> "_Cursor":
        return self

    @property
    def description(self) -> Any:
        return None if self._cursor is None else self._cursor.description

    @property
    def rowcount(self) -> int:
        return -1 if self._cursor is None else self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return None if self._cursor is None else self._cursor.lastrowid

    async def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        return await self._run(sql, parameters, many=False)

    async def executemany(self, sql: str, parameters: Any) -> "_Cursor":
        return await self._run(sql, parameters, many=True)

    async def fetchone(self) -> Any:
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> Rows:
        size = self.arraysize if size is None else size
        if self._more and len(self._rows) < size:
            missing = max(size - len(self._rows), _CHUNK)
            await self._fetch(lambda cursor: cursor.fetchmany(missing), missing)
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    async def fetchall(self) -> Rows:
        if self._more:
            await self._fetch(lambda cursor: cursor.fetchall(), None)
        rows, self._rows = self._rows, []
        return rows

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._each()

    async def close(self) -> None:
        cursor, self._rows = self._cursor, []
        if self._more and cursor is not None:
            self._more = False
            await self._on.lane.run(lambda _: cursor.close())

    async def setinputsizes(self, *_: Any) -> None:
        """Do nothing: SQLite has no input sizes."""

    async def _each(self) -> AsyncIterator[Any]:
        while (row := await self.fetchone()) is not None:
            yield row

    async def _run(self, sql: str, parameters: Any, *, many: bool) -> "_Cursor":
        result = await self._on.execute(sql, parameters, many=many)
        self._cursor, self._rows, self._more = result.cursor, result.rows, result.more
        return self

    async def _fetch(self, fetch: Callable[[sqlite3.Cursor], Rows], asked: int | None) -> None:
        cursor = self._cursor
        if cursor is None:
            return
        timeout = self._on.sqlite.statement_timeout
        rows = await self._on.lane.run_within(timeout, lambda _: fetch(cursor))
        self._rows += rows
        self._more = asked is not None and len(rows) == asked


def _execute(
    db: sqlite3.Connection, begin: str, sql: str, parameters: Sequence[Any], *, many: bool
) -> _Result:
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
    return _Result(cursor, rows, more=len(rows) == _CHUNK)


def _commit(db: sqlite3.Connection) -> None:
    if not db.in_transaction:
        raise sqlite3.OperationalError("interrupted: SQLite has rolled the transaction back")
    try:
        db.execute("COMMIT").close()
    except sqlite3.Error:
        # A deferred foreign key leaves the transaction open, and SQLAlchemy takes it for ended.
        _rollback(db)
        raise


def _rollback(db: sqlite3.Connection) -> None:
    if not db.in_transaction:
        return
    try:
        db.execute("ROLLBACK").close()
    except sqlite3.OperationalError:
        # An interrupt meant for a statement before may still be pending: it counts once.
        if db.in_transaction:
            db.execute("ROLLBACK").close()


def _wal_path(db: sqlite3.Connection) -> Path | None:
    mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    file = db.execute("PRAGMA database_list").fetchone()[2]
    if mode != "wal" or not file:
        return None
    # The first transaction makes sure that the file is there.
    db.execute("BEGIN IMMEDIATE").close()
    db.execute("COMMIT").close()
    return Path(f"{file}-wal")


def _no_database() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)
