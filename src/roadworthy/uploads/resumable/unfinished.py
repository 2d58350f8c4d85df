"""`UnfinishedUpload`: one upload, whose whole state is in the store.

    unfinished/tus/<id>/info              the description from the request that created it
    unfinished/tus/<id>/<16 digits>       a piece, under the offset where it begins
    unfinished/tus/<id>/stored            the file that was made of the pieces
    unfinished/tus/<id>/done              a request has kept that file
    unfinished/tus/<id>/gone              the upload was refused, or terminated
    unfinished/held/<key>.<attempt>       a request may be about to keep that file

The last byte of an upload is never in a piece: it comes with the request that keeps the
file. So until a request has kept the file, the offset is below the length, whatever fails.
"""

import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from roadworthy.uploads.files import HELD, UNFINISHED, Files
from roadworthy.uploads.resumable.errors import UploadGone, UploadNotFound
from roadworthy.uploads.resumable.piece_writer import piece_name
from roadworthy.uploads.store import Entry, FileMissing
from roadworthy.uploads.stored import Stored

__all__ = ["PREFIX", "CompletionAttempt", "UnfinishedUpload", "UploadInfo", "UploadState"]

PREFIX: Final = f"{UNFINISHED}tus/"
"""What starts the keys of everything of these uploads."""
_SMALL: Final = 64 * 1024
"""The most bytes of a file here that is no piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfo:
    """The client's description of an upload, from when it was created."""

    length: int
    metadata: str
    """`Upload-Metadata` as the client sent it, to be sent back."""
    filename: str | None
    media_type: str
    """The declared media type, in lower case and without parameters, or nothing."""
    owner: str
    """The hash of the owner."""
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """The pieces and offset of an upload."""

    info: UploadInfo
    offset: int = 0
    pieces: tuple[str, ...] = ()
    """The keys of the pieces, in order."""
    stored: bool = False
    """Whether the file has been made, and no request is known to have kept it."""
    done: bool = False


class UnfinishedUpload:
    """An upload in the store, which any process can continue."""

    def __init__(self, files: Files, upload_id: str) -> None:
        self.folder = f"{PREFIX}{upload_id}/"
        self._files = files

    async def create(self, info: UploadInfo) -> None:
        """Store the info of a new upload."""
        await self._put("info", json.dumps(asdict(info)).encode())

    async def load(self, *, owner: str) -> UploadState:
        """Return the state of the upload.

        Raises:
            UploadNotFound: 404. The upload does not exist, or belongs to somebody else.
            UploadGone: 410. The upload expired, was terminated, or its file was refused.
        """
        sizes = {entry.key: entry.size_bytes async for entry in self._entries()}
        info = await self._info()
        if info.owner != owner:
            raise UploadNotFound
        if info.expires_at <= datetime.now(UTC).timestamp():
            await self.forget()
            raise UploadGone
        pieces, offset = self._chain(sizes)
        done = self.folder + "done" in sizes
        if self.folder + "gone" in sizes and not done:
            raise UploadGone
        return UploadState(
            info=info,
            offset=info.length if done else offset,
            pieces=pieces,
            stored=self.folder + "stored" in sizes,
            done=done,
        )

    async def content(self, state: UploadState, last: bytes) -> AsyncGenerator[bytes]:
        """Yield the bytes of the whole file.

        Raises:
            UploadGone: 410. A piece has been removed meanwhile.
        """
        try:
            for key in state.pieces:
                async with self._files.open(key) as reading:
                    async for chunk in reading.chunks():
                        yield chunk
        except FileMissing as missing:
            raise UploadGone from missing
        yield last

    async def keep(self, stored: Stored) -> Stored:
        """Store which file was made, and return that; another process may have been first."""
        try:
            await self._put("stored", json.dumps(asdict(stored)).encode())
        except FileExistsError:
            return await self.stored()
        return stored

    async def stored(self) -> Stored:
        """Return the file that was made.

        Raises:
            UploadGone: 410. The file was refused meanwhile.
        """
        try:
            return Stored(**json.loads(await self._read("stored")))
        except FileMissing as missing:
            raise UploadGone from missing

    async def finish(self) -> None:
        """Mark the upload as complete, once a request has kept the file."""
        await self._mark("done")
        await self._remove(but=("info", "done"))

    async def refuse(self) -> None:
        """Delete the pieces, and remember for a while that the upload is gone."""
        await self._mark("gone")
        await self._remove(but=("info", "gone", "done"))

    async def forget(self) -> None:
        """Delete everything of the upload."""
        await self._files.delete(self.folder + "info")
        await self._remove(but=())

    def _entries(self) -> AsyncIterator[Entry]:
        return self._files.store.entries(self.folder)

    def _chain(self, sizes: dict[str, int]) -> tuple[tuple[str, ...], int]:
        """Return the pieces that follow each other, and the offset of their end."""
        pieces, offset = list[str](), 0
        while size := sizes.get(key := self.folder + piece_name(offset)):
            pieces.append(key)
            offset += size
        return tuple(pieces), offset

    async def _info(self) -> UploadInfo:
        try:
            return UploadInfo(**json.loads(await self._read("info")))
        except FileMissing as missing:
            raise UploadNotFound from missing

    async def _mark(self, name: str) -> None:
        with suppress(FileExistsError):  # another request has ended the upload in the same way
            await self._put(name, b"{}")

    async def _put(self, name: str, data: bytes) -> None:
        await self._files.add(
            data, media_type="application/json", filename=name, key=self.folder + name
        )

    async def _read(self, name: str) -> bytes:
        return await self._files.read(self.folder + name, max_bytes=_SMALL)

    async def _remove(self, *, but: tuple[str, ...]) -> None:
        kept = {self.folder + name for name in but}
        for key in [entry.key async for entry in self._entries()]:
            if key not in kept:
                await self._files.delete(key)


class CompletionAttempt:
    """A request that may keep a file; its mark protects the file from sweeps."""

    def __init__(self, files: Files, key: str) -> None:
        self.key = key
        self._files = files
        self._mark = f"{HELD}{key}.{secrets.token_hex(8)}"

    async def begin(self) -> None:
        """Mark the file as held, until an attempt succeeds, or for `unfinished_for`."""
        await self._files.add(b"{}", media_type="application/json", filename="", key=self._mark)

    async def succeeded(self) -> None:
        """Remove the marks of all attempts, as a row names the file now."""
        for mark in await self._marks():
            await self._files.delete(mark)

    async def refused(self) -> None:
        """Delete the file, unless another attempt may have kept it."""
        if await self._marks() == [self._mark]:
            await self._files.delete(self.key)
        await self.leave()

    async def leave(self) -> None:
        """Remove the mark of this attempt only."""
        await self._files.delete(self._mark)

    async def _marks(self) -> list[str]:
        return [entry.key async for entry in self._files.store.entries(f"{HELD}{self.key}.")]
