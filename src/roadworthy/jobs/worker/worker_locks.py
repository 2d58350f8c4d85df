"""`WorkerLocks`: know which workers of an SQLite file are dead before leases end.

Workers on one SQLite file are on one machine, so they need not wait for leases, which a
clock that has jumped may have set an hour ahead. Each holds a shared lock on a file beside
the database, and a lock of its own on another; the system lets go of them when the process
dies, however it dies. Who can have the first alone is the only worker, and whose own lock
can be had is dead.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

if sys.platform != "win32":  # there, leases alone do it
    import fcntl

__all__ = ["WorkerLocks"]


class WorkerLocks:
    """Hold the locks of this worker, and find dead workers by their free locks.

    Args:
        url: The database; only one in an SQLite file has locks.
        worker: The name of this worker, as its leases bear it.
    """

    def __init__(self, url: URL, worker: str) -> None:
        self._path = _beside(url)
        self._worker = worker
        self._file: IO[bytes] | None = None
        self._own: IO[bytes] | None = None

    @asynccontextmanager
    async def beginning(self) -> AsyncGenerator[bool]:
        """Yield whether there is no other worker; none begins before this is left."""
        self._file = _open(self._path)
        if self._file is None:
            yield False
            return
        self._own = _open(self._of(self._worker))
        if self._own is not None:
            _lock_alone(self._own)
        try:
            yield _lock_alone(self._file)
        finally:
            # Waits only while another worker is just as far as we were a moment ago.
            await asyncio.to_thread(_lock_together, self._file)

    @property
    def knows(self) -> bool:
        """Whether `dead` can tell anything."""
        return self._file is not None

    def dead(self, workers: Iterable[str]) -> list[str]:
        """Return which of some workers are dead for certain."""
        return [worker for worker in workers if _is_free(self._of(worker))]

    def forget(self, workers: Iterable[str]) -> None:
        """Remove what the dead have left, once nothing in the database is theirs."""
        for worker in workers:
            _remove(self._of(worker))

    def forget_all(self) -> None:
        """Remove what all others have left, where this is the only worker."""
        if self._path is not None:
            for path in self._path.parent.glob(f"{escape(self._path.name)}-*"):
                if path != self._of(self._worker):
                    _remove(path)

    def close(self) -> None:
        """Let go of the locks."""
        if self._own is not None:
            _remove(self._of(self._worker))
            self._own.close()
        if self._file is not None:
            self._file.close()
        self._file = self._own = None

    def _of(self, worker: str) -> Path | None:
        """Return the file that a worker holds its lock on: by the end of its name."""
        if self._path is None:
            return None
        return self._path.with_name(f"{self._path.name}-{worker.rpartition(':')[2]}")


def _beside(url: URL) -> Path | None:
    path = url.database or ""
    if url.get_backend_name() != "sqlite" or not path or path.startswith((":memory:", "file:")):
        return None
    return Path(f"{path}-workers")


def _open(path: Path | None) -> IO[bytes] | None:
    try:
        return None if path is None else path.open("ab")
    except OSError:  # a directory that cannot be written: leases alone do it
        return None


def _is_free(path: Path | None) -> bool:
    """Return whether a file is there, and nobody holds a lock on it."""
    try:
        if path is None or sys.platform == "win32":
            return False
        with path.open("rb") as file:
            return _lock_alone(file)
    except OSError:  # there is none: its worker may be of an earlier version
        return False


def _remove(path: Path | None) -> None:
    with suppress(OSError):
        if path is not None:
            path.unlink()


def _lock_alone(file: IO[bytes]) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_together(file: IO[bytes]) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_SH)
