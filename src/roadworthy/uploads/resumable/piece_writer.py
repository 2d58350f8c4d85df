"""`PieceWriter`: write the bytes of an unfinished upload, in pieces."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from roadworthy._internal.finish import to_its_end
from roadworthy.uploads.files import Files
from roadworthy.uploads.receiving.file_receiver import (
    BATCH_BYTES,
    left_to_the_sweep,
    store_failures,
)
from roadworthy.uploads.store import Batch, Judge, Writing
from roadworthy.uploads.stored import MiB

__all__ = ["PIECE_BYTES", "Overtaken", "PieceWriter", "piece_name"]

PIECE_BYTES: Final = 16 * MiB
"""The most bytes of a piece, and so the most that a killed process loses."""


class Overtaken(Exception):
    """Another process has written a piece at the same offset."""


def piece_name(offset: int) -> str:
    """Return the name of the piece that begins at an offset."""
    return f"{offset:016d}"


class PieceWriter:
    """Write bytes with `feed`, then store them with `settle`; the rest is dropped.

    The key of a piece is the offset where it begins. Each offset is written once: the second
    process to write there was overtaken. With `whole`, no piece is stored before the end.
    """

    def __init__(
        self, files: Files, folder: str, *, offset: int, judge: Judge, whole: bool = False
    ) -> None:
        self.offset = offset
        """All bytes before this offset are in the store, durably."""
        self._files, self._folder, self._judge, self._whole = files, folder, judge, whole
        self._pending: list[memoryview] = []
        self._pending_bytes = self._piece_bytes = self._reserved = 0
        self._writing: Writing | None = None
        self._torn = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await to_its_end(self._drop())

    async def feed(self, data: memoryview) -> None:
        """Buffer the next bytes until their batch is full.

        Raises:
            Overtaken: Another process works on the same upload.
            Problem: 503. Too many bytes are being received, or the store is away.
            OSError: The store is full (507).
        """
        self._files.reserve(len(data))
        self._reserved += len(data)
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes >= BATCH_BYTES:
            await self.flush()
            if self._piece_bytes >= PIECE_BYTES and not self._whole:
                await self.settle()

    async def flush(self) -> None:
        """Write the buffered bytes."""
        batch, self._pending = self._pending, []
        count, self._pending_bytes = self._pending_bytes, 0
        if count and not self._torn:
            # Cancelled half-way, it would be unknown how much of the batch is in the piece.
            await to_its_end(self._write(batch, count))

    async def settle(self) -> None:
        """Commit all bytes so far.

        Raises:
            Overtaken: Another process was faster; this piece does not count.
        """
        await self.flush()
        if self._writing is not None and not self._torn:
            await to_its_end(self._commit(self._writing))

    async def _write(self, batch: Batch, count: int) -> None:
        self._torn = True
        with store_failures():
            if self._writing is None:
                self._writing = await self._stack.enter_async_context(self._begin())
            await self._writing.write(batch, self._judge)
        self._piece_bytes += count
        self._torn = False

    def _begin(self) -> Writing:
        return self._files.store.writing(
            self._folder + piece_name(self.offset),
            media_type="application/octet-stream",
            content_disposition="attachment",
        )

    async def _commit(self, writing: Writing) -> None:
        self._torn = True  # in any case this piece has ended
        try:
            with store_failures():
                await _put(writing)
            self.offset += self._piece_bytes
        finally:
            await self._drop()
        self._torn = False

    async def _drop(self) -> None:
        self._writing = None
        self._piece_bytes = self._pending_bytes = 0
        self._pending.clear()
        try:
            with left_to_the_sweep():
                await self._stack.aclose()
        finally:
            self._files.release(self._reserved)
            self._reserved = 0


async def _put(writing: Writing) -> None:
    try:
        await writing.commit()
    except FileExistsError as error:
        raise Overtaken from error
