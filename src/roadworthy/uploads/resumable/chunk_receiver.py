"""`ChunkReceiver`: append the body of one request to an unfinished upload."""

from contextlib import suppress
from typing import Final

from roadworthy._internal.finish import to_its_end
from roadworthy.problems import PayloadTooLarge, Problem, RequestTimeout, UnsupportedMediaType
from roadworthy.uploads.errors import FileRejected
from roadworthy.uploads.files import Files
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.receiving.request_body import RequestBody
from roadworthy.uploads.resumable.errors import ChecksumMismatch, UploadInterrupted
from roadworthy.uploads.resumable.headers import Checksum
from roadworthy.uploads.resumable.piece_writer import Overtaken, PieceWriter
from roadworthy.uploads.resumable.unfinished import UnfinishedUpload, UploadState
from roadworthy.uploads.resumable.upload_locks import UploadLock
from roadworthy.uploads.store import Batch
from roadworthy.uploads.types.identify import TypeDetector
from roadworthy.uploads.types.inspecting.filetype import HEAD_BYTES

__all__ = ["ChunkReceiver"]

_SILENT: Final = 3
"""Seconds of silence after which the bytes so far are stored: the connection may be dead."""
_UNWANTED: Final = (
    ChecksumMismatch,
    FileRejected,
    Overtaken,
    PayloadTooLarge,
    UnsupportedMediaType,
)
"""Errors after which nothing of the body is kept."""


class _Wanted(Exception):
    """Another request waits to go on with the upload."""


class ChunkReceiver:
    """Append bytes to an upload: `read`, then see `offset` and `last`.

    However the body ends, the bytes that came are kept. With a checksum, either all bytes are
    kept or none: bytes that were not compared with it do not count.
    """

    def __init__(
        self,
        policy: Policy,
        files: Files,
        upload: UnfinishedUpload,
        state: UploadState,
        *,
        holder: UploadLock,
        checksum: Checksum | None,
    ) -> None:
        self.last = b""
        """The last byte of the upload, once it has come."""
        self._policy, self._upload, self._state = policy, upload, state
        self._holder, self._checksum = holder, checksum
        self._room = state.info.length - 1 - state.offset
        self._quiet = 0
        self._head: bytearray | None = None
        self._landing = PieceWriter(
            files,
            upload.folder,
            offset=state.offset,
            judge=checksum.feed if checksum else _accept,
            whole=checksum is not None,
        )

    @property
    def offset(self) -> int:
        """The offset up to which all bytes are in the store, durably."""
        return self._landing.offset

    async def read(self, body: RequestBody) -> None:
        """Read a body to its end.

        Raises:
            UploadInterrupted: 409. The body broke off.
            Overtaken: Another process has gone on with the upload.
            Problem: 413, 415, 460 or 503.
            OSError: The store is full (507).
            ClientDisconnect: The client has left.
        """
        async with self._landing:
            try:
                await self._take(body)
                await self._verify()
                await self._landing.settle()
            except (RequestTimeout, _Wanted) as cause:
                await self._save()
                raise UploadInterrupted(offset=self.offset) from cause
            except _UNWANTED:
                raise
            except BaseException:
                await self._save()
                raise

    async def _take(self, body: RequestBody) -> None:
        self._head = await self._known_head()
        while (piece := await body.read()) != b"":
            if piece is None:
                await self._rest()
            else:
                await self._feed(memoryview(piece))
            # Bytes that a dead connection has brought are worth waiting for.
            if self._holder.is_wanted() and (
                piece is None or self._holder.is_wanted(for_seconds=1)
            ):
                raise _Wanted

    async def _feed(self, data: memoryview) -> None:
        self._quiet = 0
        if len(data) > self._room + 1 - len(self.last):
            raise PayloadTooLarge
        self._sniff(data)
        now = data[: self._room]
        self.last += data[self._room :]
        self._room -= len(now)
        if now:
            await self._landing.feed(now)

    async def _rest(self) -> None:
        # A silent client should take up as little memory as possible. If it has lost its
        # connection, it will soon ask another process how many bytes have come.
        await self._landing.flush()
        self._quiet += 1
        if self._quiet == _SILENT and self._checksum is None:
            await self._landing.settle()

    async def _verify(self) -> None:
        if self._checksum is not None:
            await self._landing.flush()
            self._checksum.feed([self.last])
            self._checksum.check()

    async def _save(self) -> None:
        if self._checksum is None:
            # anyio cancels again and again until its scope is left: unshielded, all would be lost.
            with suppress(Overtaken, OSError, Problem):  # the client is told what ended the body
                await to_its_end(self._landing.settle())

    async def _known_head(self) -> bytearray | None:
        """Return the first bytes of the file, if its type has to be told by them."""
        if self._state.offset >= HEAD_BYTES or self._state.info.length <= HEAD_BYTES:
            return None
        chunks = [chunk async for chunk in self._upload.content(self._state, b"")]
        return bytearray(b"".join(chunks))

    def _sniff(self, data: memoryview) -> None:
        if self._head is None:
            return
        self._head += data[: HEAD_BYTES - len(self._head)]
        if len(self._head) == HEAD_BYTES:
            TypeDetector(bytes(self._head), self._state.info.media_type, self._policy.accept)
            self._head = None


def _accept(_: Batch) -> None:
    """Accept every batch: the file is judged when it is whole."""
