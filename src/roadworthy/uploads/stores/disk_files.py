"""`Writing` and `Reading` of a `Disk`: their blocking calls run in its threads."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Final, Self

from roadworthy.uploads.store import Batch, FileMissing, Judge
from roadworthy.uploads.stored import KiB
from roadworthy.uploads.stores import disk_folders
from roadworthy.uploads.stores.disk_directory import DiskDirectory
from roadworthy.uploads.stores.keys import segments_of
from roadworthy.uploads.stores.writing_state import WritingState

__all__ = ["DiskReading", "DiskWriting"]

_PIECE: Final = 256 * KiB
_BUFFERS: Final = 1024
"""The most buffers of a `writev`: IOV_MAX of Linux, macOS and the BSDs."""
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


class DiskWriting:
    """A file under a random name, until it is linked to its key."""

    def __init__(self, directory: DiskDirectory, key: str) -> None:
        self._directory, self._segments = directory, segments_of(key)
        self._stages = WritingState()
        self._file, self._name = -1, ""
        self._linked = False

    async def __aenter__(self) -> Self:
        self._stages.enter()
        self._directory.unfinished.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._file >= 0 or self._linked:
                await self._directory.finish(self.discard)
        finally:
            self._stages.leave()
            self._directory.unfinished.discard(self)

    async def write(self, batch: Batch, judge: Judge, /) -> None:
        """Judge a batch and append it, in one call in a thread."""
        with self._stages.writing():
            await self._directory.run(partial(self._write, batch, judge))

    async def commit(self) -> None:
        """Sync the file and link it to its key."""
        with self._stages.committing():
            await self._directory.run(self._commit)
        self._linked = False

    def discard(self) -> None:
        """Delete the file unless it was committed."""
        self._stages.leave()
        try:
            if self._linked:  # after a cancelled commit, nobody knows that the file was committed
                self._linked = False
                disk_folders.remove(self._directory.root, self._segments)
        finally:
            self._close()

    def _write(self, batch: Batch, judge: Judge) -> None:
        judge(batch)
        self._open()
        self._directory.check_room(self._file, sum(map(len, batch)))
        _write_all(self._file, batch)

    def _commit(self) -> None:
        self._open()
        _sync(self._file)
        disk_folders.publish(self._directory.root, self._name, self._segments)
        self._linked = True
        self._close()

    def _open(self) -> None:
        if self._file < 0:
            self._file, self._name = disk_folders.new_file(self._directory.root)

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file < 0:
            return
        try:
            with suppress(OSError):  # the sweep deletes it
                disk_folders.forget(self._directory.root, self._name)
        finally:
            os.close(file)


class DiskReading:
    """An open file, whose pieces are read one by one."""

    def __init__(self, directory: DiskDirectory, key: str) -> None:
        self.size_bytes = 0
        self.modified_at = datetime.fromtimestamp(0, UTC)
        self._directory, self._key, self._segments = directory, key, segments_of(key)
        self._file = -1

    async def __aenter__(self) -> Self:
        try:
            await self._directory.run(self._open)
        except FileNotFoundError as error:
            raise FileMissing(self._key) from error
        except BaseException:
            await self._directory.finish(self._close)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._directory.finish(self._close)

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, but not including, `end`.

        Raises:
            OSError: The disk fails, or the file has become shorter.
        """
        end = self.size_bytes if end is None else min(end, self.size_bytes)
        while start < end:
            chunk = await self._directory.run(partial(self._read, start, min(_PIECE, end - start)))
            start += len(chunk)
            yield chunk

    def _open(self) -> None:
        self._file = disk_folders.old_file(self._directory.root, self._segments)
        status = os.fstat(self._file)
        self.size_bytes = status.st_size
        self.modified_at = datetime.fromtimestamp(status.st_mtime, UTC)

    def _read(self, start: int, count: int) -> bytes:
        chunk = os.pread(self._file, count, start)
        if not chunk:
            raise OSError(errno.EIO, f"the file under {self._key} is shorter than it was")
        return chunk

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _write_all(file: int, batch: Batch) -> None:
    if len(batch) > _BUFFERS:
        batch = [b"".join(batch)]
    left = [memoryview(data) for data in batch if len(data)]
    while left:
        written = os.writev(file, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
