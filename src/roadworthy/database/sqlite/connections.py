"""Connections of SQLite that share one writer, in the shape that SQLAlchemy takes.

SQLAlchemy's aiosqlite dialect takes any driver connection of aiosqlite's shape.
`WriteConnection` and `ReadConnection` have it. All write connections share one real
connection: a transaction takes its turn with its first statement (`BEGIN IMMEDIATE`)
and gives it to the next with its commit, before it waits for the disk. So nobody
meets "database is locked", nobody overtakes, and a commit that has returned is durable.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from time import perf_counter
from typing import Any

from roadworthy.database import metrics
from roadworthy.database.sqlite.connection_thread import ConnectionThread
from roadworthy.database.sqlite.cursor import Cursor, Result, execute
from roadworthy.database.sqlite.file import WRITERS, Sqlite

__all__ = ["ReadConnection", "WriteConnection", "connect_reader", "connect_writer"]


async def connect_writer(sqlite: Sqlite) -> "WriteConnection":
    """Return a connection that shares the writer of the file."""
    return WriteConnection(sqlite)


async def connect_reader(sqlite: Sqlite) -> "ReadConnection":
    """Return a connection with a thread of its own, which cannot write."""
    thread = ConnectionThread(lambda: sqlite.connect(query_only=True))
    await thread.open()
    return ReadConnection(sqlite, thread)


class _Connection:
    """A connection of the shape of `aiosqlite.Connection`, which SQLAlchemy takes."""

    begin: str

    def __init__(self, sqlite: Sqlite, thread: ConnectionThread) -> None:
        self.sqlite, self.thread = sqlite, thread
        self.began = False
        self.isolation_level: str | None = None
        # SQLAlchemy skips commit and rollback where this is None.
        self._connection: object | None = self

    def cursor(self) -> "Cursor":
        return Cursor(self)

    async def execute(self, sql: str, parameters: Any, *, many: bool) -> Result:
        """Execute one statement, in a transaction that begins with the first one."""
        await self._before()
        begin = "" if self.began else self.begin
        self.began = True
        return await self.thread.run_within(
            self.sqlite.statement_timeout,
            lambda db: execute(db, begin, sql, parameters, many=many),
        )

    async def create_function(self, *args: Any, **kwargs: Any) -> None:
        await self.thread.run(lambda db: db.create_function(*args, **kwargs))

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
        await self.thread.run(_rollback)
        commits = self.sqlite.group_commit
        if commits is not None and commits.pending:
            await commits.wait()

    async def close(self) -> None:
        """Close the connection and its thread."""
        self._connection = None
        await self.thread.close()

    def stop(self) -> None:
        """Close the connection without waiting."""
        self._connection = None
        self.thread.stop()


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
        commits = self.sqlite.group_commit
        if commits is None:
            await self._commit(_commit)
            return
        with commits.promised():
            if self.sqlite.waiting or commits.busy:
                await self._commit(_commit)
                await commits.wait()
            else:
                # Nobody would share the sync: do it in one job, which saves a thread switch.
                await self._commit(self._commit_and_sync)

    async def _commit(self, job: Callable[[sqlite3.Connection], None]) -> None:
        try:
            await self.thread.run(job)
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
            await self.thread.run(_rollback)
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
            task = asyncio.ensure_future(self.thread.run(_rollback))
            task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)
            self._give_turn()

    async def _before(self) -> None:
        if self.has_turn:
            return
        if self.sqlite.group_commit is not None:
            self.sqlite.group_commit.check()
        await self._take_turn()

    async def _take_turn(self) -> None:
        began = perf_counter()
        self.sqlite.waiting += 1
        try:
            async with asyncio.timeout(self.sqlite.busy if self.sqlite.turn.locked() else None):
                await self.sqlite.turn.acquire()
        except TimeoutError:
            metrics.timed_out(WRITERS)
            raise sqlite3.OperationalError("database is locked: waited for the writer") from None
        finally:
            self.sqlite.waiting -= 1
        self.has_turn = True
        metrics.waited(WRITERS, perf_counter() - began)

    def _give_turn(self) -> None:
        if self.has_turn:
            self.has_turn = self.began = False
            self.sqlite.turn.release()


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
