"""`Alive`: know at the start that whoever ran jobs on this SQLite file is dead.

Workers on one SQLite file are on one machine, so they need not wait for leases to end:
each holds a shared lock on a file beside the database, and the system lets go of it
when the process dies, however it dies. Who can have the lock alone is the only worker.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

if sys.platform != "win32":  # there, leases alone do it
    import fcntl

__all__ = ["Alive"]


class Alive:
    """Hold a lock for as long as this worker lives."""

    def __init__(self, url: URL) -> None:
        self._path = _beside(url)
        self._file: IO[bytes] | None = None

    @asynccontextmanager
    async def beginning(self) -> AsyncGenerator[bool]:
        """Yield whether there is no other worker; none begins before this is left."""
        self._file = _open(self._path)
        if self._file is None:
            yield False
            return
        try:
            yield _lock_alone(self._file)
        finally:
            # Waits only while another worker is just as far as we were a moment ago.
            await asyncio.to_thread(_lock_together, self._file)

    def close(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None


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
