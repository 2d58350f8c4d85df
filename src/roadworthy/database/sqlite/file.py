"""`Sqlite`: a file of SQLite with its only writer, the writer's queue and syncs."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from roadworthy.database import metrics
from roadworthy.database.sqlite.connection_thread import ConnectionThread
from roadworthy.database.sqlite.group_commit import GroupCommit, sync_file

__all__ = ["WRITERS", "Sqlite", "Synchronous"]

Synchronous: TypeAlias = Literal["full", "normal"]
"""When a commit counts: on the disk, or in the hands of the operating system."""

WRITERS: Final = "write"
"""The name of the writer's queue in the metrics of pools."""


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
        self.writer = ConnectionThread(lambda: self.connect(query_only=False))
        self.turn = asyncio.Lock()
        self.waiting = 0
        """Writers that wait for their turn."""
        self.group_commit: GroupCommit | None = None
        self._syncer = ConnectionThread(_no_database)
        self._wal: int | None = None

    @property
    def in_memory(self) -> bool:
        """Return whether there is no file: one connection then serves readers too."""
        return self.path in {"", ":memory:"} or "mode=memory" in self.path

    @property
    def may_write(self) -> bool:
        """Return whether this process still writes: not once a sync has failed."""
        return self.group_commit is None or not self.group_commit.failed

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
        self.group_commit = GroupCommit(self._sync)
        await self.writer.run(lambda db: db.execute("PRAGMA synchronous=NORMAL"))

    async def close(self) -> None:
        """Wait for the last sync, and close the writer and the files."""
        if self.group_commit is not None:
            await self.group_commit.close()
        self.group_commit = None
        await self._syncer.close()
        if self._wal is not None:
            os.close(self._wal)
            self._wal = None
        await self.writer.close()

    def turns(self) -> metrics.PoolState:
        """Return the state of the writer's queue, as that of a pool of one connection."""
        used = int(self.turn.locked())
        return metrics.PoolState(WRITERS, used, 1 - used, 1, self.waiting)

    def sync_now(self) -> None:
        """Sync the WAL file from the thread that calls; once that failed, write no more."""
        if self._wal is None or self.group_commit is None:
            return
        try:
            sync_file(self._wal)
        except OSError as error:
            self.group_commit.fail(error)
            raise

    async def _sync(self) -> None:
        await self._syncer.run(lambda _: self.sync_now())

    def connect(self, *, query_only: bool) -> sqlite3.Connection:
        """Open a connection of the driver with its settings; call this in its thread."""
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
