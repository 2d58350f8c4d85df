"""`Writing` and `Reading` of an object store."""

import asyncio
import errno
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from roadworthy._internal.extras import extra

with extra("s3", of="roadworthy.uploads.stores.objects"):
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError

from roadworthy._internal.finish import to_its_end
from roadworthy.uploads.store import Batch, FileMissing, Judge
from roadworthy.uploads.stored import KiB
from roadworthy.uploads.stores.writing_state import WritingState

__all__ = ["ObjectReading", "ObjectWriting", "failures"]

_PIECE: Final = 256 * KiB
_PARTS_AT_ONCE: Final = 2


@contextmanager
def failures() -> Generator[None]:
    """Turn obstore's own exceptions into `OSError`."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except BaseError as error:
        raise OSError(errno.EIO, f"the object store failed: {type(error).__name__}") from error


class _Abandoned(Exception):
    """The upload was abandoned: obstore then aborts it."""


class ObjectWriting:
    """A file that is being written into an object store."""

    def __init__(self, store: Any, key: str, attributes: Any, part_bytes: int) -> None:
        self._store, self._key, self._attributes = store, key, attributes
        self._part_bytes = part_bytes
        self._stages = WritingState()
        self._buffer = bytearray()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._upload: asyncio.Task[Any] | None = None
        self._committed = self._sent = False

    async def __aenter__(self) -> Self:
        self._stages.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Abort the upload unless it was committed, and wait for the abort."""
        self._stages.leave()
        self._buffer.clear()
        if not self._committed:
            await to_its_end(self._abandon())

    async def write(self, batch: Batch, judge: Judge, /) -> None:
        """Judge a batch in a thread, and send it when a part is full."""
        with self._stages.writing():
            await to_its_end(_judge(judge, batch))
            for data in batch:
                self._buffer += data
            if len(self._buffer) >= self._part_bytes:
                await self._send()

    async def commit(self) -> None:
        """Put the whole file under its key.

        Raises:
            FileExistsError: There is a file under that key already.
        """
        with self._stages.committing():
            await to_its_end(self._finish())
            self._committed = True  # nobody would know of the file, so none may stay

    async def _finish(self) -> None:
        with failures():
            if self._upload is None:
                await self._put_at_once()
            else:
                await self._put_rest()

    async def _put_at_once(self) -> None:
        self._sent = True
        try:
            await obstore.put_async(
                self._store,
                self._key,
                bytes(self._buffer),
                attributes=self._attributes,
                mode="create",
                use_multipart=False,
            )
        except AlreadyExistsError as error:
            self._sent = False  # the file that is there is not ours
            raise FileExistsError(errno.EEXIST, "there is a file under this key") from error

    async def _put_rest(self) -> None:
        assert self._upload is not None  # noqa: S101 - `commit` has looked
        if await _exists(self._store, self._key):
            raise FileExistsError(errno.EEXIST, "there is a file under this key")
        await self._send()
        self._sent = True
        await self._give(None)
        await self._upload

    async def _send(self) -> None:
        if self._upload is None:
            self._upload = asyncio.create_task(self._put())
        piece, self._buffer = bytes(self._buffer), bytearray()
        if piece:
            await self._give(piece)

    async def _put(self) -> None:
        await obstore.put_async(
            self._store,
            self._key,
            self._source(),
            attributes=self._attributes,
            chunk_size=self._part_bytes,
            max_concurrency=_PARTS_AT_ONCE,
            use_multipart=True,
        )

    async def _source(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        if not self._sent:
            raise _Abandoned

    async def _give(self, piece: bytes | None) -> None:
        """Hand a piece to the upload, or raise what has ended it."""
        assert self._upload is not None  # noqa: S101 - `_send` made it
        giving = asyncio.ensure_future(self._pieces.put(piece))
        try:
            await asyncio.wait({giving, self._upload}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()
        if self._upload.done():
            with failures():
                self._upload.result()

    async def _abandon(self) -> None:
        if self._upload is not None:
            await self._end_upload(self._upload)
        if self._sent:  # the file may have arrived although the answer did not
            with failures():
                await obstore.delete_async(self._store, self._key)

    async def _end_upload(self, upload: asyncio.Task[Any]) -> None:
        while not upload.done():
            if not self._pieces.empty():
                self._pieces.get_nowait()
            self._pieces.put_nowait(None)
            await asyncio.wait({upload}, timeout=0.05)
        if not upload.cancelled():
            upload.exception()  # this end was asked for, or has been reported


class ObjectReading:
    """A file that is being read from an object store."""

    size_bytes: int
    modified_at: datetime

    def __init__(self, store: Any, key: str) -> None:
        self._store, self._key = store, key
        self._tag: str | None = None

    async def __aenter__(self) -> Self:
        with failures():
            try:
                found = await obstore.head_async(self._store, self._key)
            except FileNotFoundError as error:
                raise FileMissing(self._key) from error
        self.size_bytes, self.modified_at = found["size"], found["last_modified"]
        self._tag = found["e_tag"]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: each stream of chunks ends by itself."""

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, but not including, `end`, in pieces."""
        stop = self.size_bytes if end is None else min(end, self.size_bytes)
        if start >= stop:
            return
        options: Any = {"range": (start, stop)}
        if self._tag is not None:
            options["if_match"] = self._tag
        with failures():
            found = await obstore.get_async(self._store, self._key, options=options)
        pieces = aiter(found.stream(min_chunk_size=_PIECE))
        while True:
            with failures():
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)


async def _judge(judge: Judge, batch: Batch) -> None:
    await asyncio.to_thread(judge, batch)


async def _exists(store: Any, key: str) -> bool:
    try:
        await obstore.head_async(store, key)
    except FileNotFoundError:
        return False
    return True
