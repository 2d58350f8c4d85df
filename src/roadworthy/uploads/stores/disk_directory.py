"""`DiskDirectory`: an open directory, its threads, and its free space."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from roadworthy.uploads.stored import MiB
from roadworthy.uploads.stores import disk_folders
from roadworthy.uploads.stores.disk_threads import Threads

__all__ = ["DiskDirectory", "UnfinishedWriting"]

T = TypeVar("T")

_MIN_FREE: Final = 64 * MiB
_MIN_FREE_PART: Final = 20


class UnfinishedWriting(Protocol):
    """A file that is discarded when its directory is closed."""

    def discard(self) -> None:
        """Delete the unfinished file."""
        ...


class DiskDirectory:
    """The open directory of a `Disk`."""

    def __init__(self, path: Path, *, min_free: int | None, threads: int) -> None:
        self.root = -1
        """The descriptor of the directory, while it is open."""
        self.unfinished = set[UnfinishedWriting]()
        """The files that are being written."""
        self._path, self._min_free = path, min_free
        self._threads = Threads(threads, owner="Disk")

    async def open(self) -> None:
        """Open the directory, make it if it is missing, and start its threads."""
        await self._threads.__aenter__()
        try:
            await self.run(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Wait for running calls, and discard unfinished files."""
        try:
            await self._threads.__aexit__(None, None, None)
        finally:
            for one in list(self.unfinished):  # their tasks are still being cancelled
                one.discard()
            root, self.root = self.root, -1
            if root >= 0:
                os.close(root)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in one of the threads."""
        return await self._threads.run(call)

    async def finish(self, call: Callable[[], object]) -> None:
        """Run clean-up in one of the threads, even if the task is cancelled."""
        await self._threads.finish(call)

    def check_room(self, file: int, count: int) -> None:
        """Check that writing `count` bytes leaves enough space.

        Raises:
            OSError: ENOSPC. Less than `min_free` bytes would be left.
        """
        system = os.fstatvfs(file)
        total, free = (blocks * system.f_frsize for blocks in (system.f_blocks, system.f_bavail))
        least = self._min_free
        if least is None:
            least = min(_MIN_FREE, total // _MIN_FREE_PART)
        if free - count < least:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> None:
        self.root = disk_folders.make_root(self._path)
