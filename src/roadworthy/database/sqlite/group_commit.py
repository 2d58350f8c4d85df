"""`GroupCommit`: many commits reach the disk with one sync.

SQLite in WAL mode can commit without waiting for the disk (`synchronous=NORMAL`):
the transaction is whole and visible, and survives the process, but not a power
failure. What makes it survive that too is a sync of the WAL file, and one sync
covers every commit written before it. So each transaction commits on its own, the
next one starts at once, and all that committed meanwhile share the next sync.
Nobody is told "committed" before the sync that covers them has returned.
"""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

__all__ = ["GroupCommit", "sync_file"]

sync_file: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""Write a file's data and size to the disk: `fdatasync` where there is one, as SQLite does."""


class GroupCommit:
    """Wait until a commit is on the disk; commits that wait together share one sync."""

    def __init__(self, sync: Callable[[], Awaitable[None]]) -> None:
        self._sync = sync
        self._next: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: OSError | None = None
        self.pending = 0
        """Commits that may be visible and are not yet known to be on the disk."""

    @property
    def busy(self) -> bool:
        """Return whether a sync is under way that others wait for."""
        return self._task is not None

    @property
    def failed(self) -> bool:
        """Return whether a sync has failed: what the disk has kept is unknown since then."""
        return self._failure is not None

    @contextmanager
    def promised(self) -> Generator[None]:
        """Count a commit as pending."""
        self.pending += 1
        try:
            yield
        finally:
            self.pending -= 1

    def fail(self, error: OSError) -> None:
        """Record that a sync failed: nothing is written any more."""
        self._failure = error

    def check(self) -> None:
        """Refuse to write once a sync has failed.

        After a failed sync the kernel may call the lost pages clean, and the next
        sync would succeed without them. Only opening the file again tells.
        """
        if self._failure is not None:
            raise sqlite3.OperationalError("disk I/O error: an earlier sync failed")

    async def wait(self) -> None:
        """Return when everything that is committed now is on the disk.

        Raises:
            sqlite3.OperationalError: The disk refused; it is unknown what it kept.
        """
        if self._next is None:
            # A sync that is under way may have begun before our commit.
            self._next = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._sync_until_nobody_waits())
        await asyncio.shield(self._next)
        self.check()

    async def close(self) -> None:
        """Wait for the sync that is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _sync_until_nobody_waits(self) -> None:
        while self._next is not None:
            current, self._next = self._next, None
            try:
                await self._sync()
            except OSError as error:
                self.fail(error)
            current.set_result(None)
        self._task = None
