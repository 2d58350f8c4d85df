"""`Disk`: files in a directory, whole and durable or not at all.

A file is written under a random name in `~unfinished`, and locked as long as its process
lives: an unlocked file there was left by a killed process. `commit` syncs the file, links it to
its key without replacing anything, and syncs the folders.
"""

import os
import sys
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import TracebackType
from typing import Final, Self

from roadworthy.uploads.arguments import check_number, check_type
from roadworthy.uploads.store import Entry
from roadworthy.uploads.stores import disk_folders
from roadworthy.uploads.stores.disk_directory import DiskDirectory
from roadworthy.uploads.stores.disk_files import DiskReading, DiskWriting
from roadworthy.uploads.stores.keys import is_key, segments_of

__all__ = ["Disk"]

_ENTRIES: Final = 500
"""Files that a thread lists at a time, in some milliseconds."""


class Disk:
    """Store files in a directory, which several processes may share.

        files = Files(Disk("var/files"))

    Files are judged, written, synced and read in threads of the store's own, so that a disk that
    hangs stops uploads and downloads and nothing else. A cancelled task waits for its call in a
    thread to end, because the call uses the memory of the task.

    The file system needs hard links and `flock`. Those of Linux and macOS have both, NFS too;
    FAT does not. Folders get mode 0700 and files 0600. The directory may be a symbolic link;
    links below it are not followed. Windows is not supported.

    Args:
        directory: Where the files are kept; made if it is missing.
        min_free: Bytes that writing leaves free on the file system; more is refused with
            ENOSPC. Unless given, 64 MiB, or a twentieth of a small file system.
        threads: How many threads the store has.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, min_free: int | None = None, threads: int = 4
    ) -> None:
        if sys.platform == "win32":
            raise NotImplementedError("Disk needs Linux, macOS or a BSD. Take Objects on Windows.")
        check_type("directory", directory, (str, os.PathLike), "a path", '"var/files"')
        if min_free is not None:
            check_number("min_free", min_free, least=0, example="64 * MiB")
        check_number("threads", threads, example="4")
        path = Path(directory).absolute()
        self._directory = DiskDirectory(path, min_free=min_free, threads=threads)

    async def __aenter__(self) -> Self:
        await self._directory.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._directory.close()

    def writing(self, key: str, *, media_type: str, content_disposition: str) -> DiskWriting:
        """Return a new file to write: nothing is on the disk before its first batch."""
        return DiskWriting(self._directory, key)

    def reading(self, key: str) -> DiskReading:
        """Return a file to read, which stays readable if it is deleted meanwhile."""
        return DiskReading(self._directory, key)

    async def delete(self, key: str) -> None:
        """Delete a file. A missing file is no error."""
        segments = segments_of(key)
        await self._directory.run(lambda: disk_folders.remove(self._directory.root, segments))

    async def entries(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Yield the files whose keys start with `prefix`, without unfinished ones."""
        found = _entries(self._directory.root, prefix)
        try:
            while batch := await self._directory.run(lambda: list(islice(found, _ENTRIES))):
                for entry in batch:
                    yield entry
        finally:
            await self._directory.finish(found.close)

    async def sweep_unfinished(self, *, older_than: timedelta) -> int:
        """Delete unfinished files of killed processes, and return their number.

        Locks protect files that a living process writes, however old; `older_than` does nothing.
        """
        return await self._directory.run(lambda: disk_folders.sweep(self._directory.root))


def _entries(root: int, prefix: str) -> Generator[Entry]:
    parent = prefix.rpartition("/")[0]
    waiting = [parent] if not parent or is_key(parent) else []
    while waiting:
        for key, status in _children(root, waiting.pop()):
            if not key.startswith(prefix) or not is_key(key):
                continue
            if S_ISDIR(status.st_mode):
                waiting.append(key)
            elif S_ISREG(status.st_mode):
                modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
                yield Entry(key, status.st_size, modified_at)


def _children(root: int, folder: str) -> Generator[tuple[str, os.stat_result]]:
    """Yield the path of each file and folder in a folder, with its status."""
    for name, status in disk_folders.children(root, folder.split("/") if folder else []):
        yield (f"{folder}/{name}" if folder else name), status
