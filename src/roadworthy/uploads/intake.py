"""`Intake`: one file on its way into the store, judged while it passes.

Its bytes are gathered into batches. A batch makes one hop into a thread, where it is
inspected, hashed and written; while it does, nothing is read from the client.
"""

import errno
import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Final, Protocol

from roadworthy.problems import PayloadTooLarge, ServiceUnavailable, UnsupportedMediaType
from roadworthy.uploads.checks import Check, Conversion, Scan
from roadworthy.uploads.digests import Digests
from roadworthy.uploads.errors import FileRejected
from roadworthy.uploads.names import content_disposition, display_name
from roadworthy.uploads.parts import Part
from roadworthy.uploads.store import Batch, Judge, Store, Writing
from roadworthy.uploads.stored import KiB, Stored
from roadworthy.uploads.types.filetype import HEAD_BYTES, FileType, Inspector, Rejected

__all__ = ["BATCH_BYTES", "Intake", "Room", "Terms", "rejections", "store_failures"]

log = logging.getLogger("roadworthy.uploads")

BATCH_BYTES: Final = 256 * KiB
"""How much is gathered for one hop: more saves little time, and is held for each upload."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_ANY: Final = frozenset({"", "application/octet-stream"})
"""What a client declares that does not know."""


class Terms(Protocol):
    """What one file has to be: the part of a policy that concerns it."""

    @property
    def max_bytes(self) -> int:
        """How large it may be."""
        ...

    @property
    def accept(self) -> tuple[FileType, ...]:
        """What it may be."""
        ...

    @property
    def checks(self) -> tuple[Check, ...]:
        """Who else looks at its bytes."""
        ...

    @property
    def conversions(self) -> Mapping[FileType, Conversion]:
        """What is made of files of some types before they are stored."""
        ...


class Room(Protocol):
    """Where files go: `Files` is one."""

    @property
    def store(self) -> Store:
        """What keeps them."""
        ...

    def reserve(self, count: int) -> None:
        """Count bytes that are in flight.

        Raises:
            ServiceUnavailable: 503. There are too many.
        """
        ...

    def release(self, count: int) -> None:
        """Count them as arrived, or given up."""
        ...


class Intake:
    """Take one file: `feed` its bytes, then `finish`; leaving without that discards it."""

    def __init__(self, terms: Terms, room: Room, part: Part, *, key: str) -> None:
        self._terms, self._room, self._part = terms, room, part
        self.key = key
        self._digests = Digests(part.headers)
        self._hash = hashlib.sha256()
        self._pending: list[memoryview] = []
        self._pending_bytes = self._size = self._reserved = 0
        self._stack = AsyncExitStack()
        self._type: FileType | None = None
        self._inspector: Inspector | None = None
        self._writing: Writing | None = None
        self._scans: list[Scan] = []

    async def feed(self, data: memoryview) -> None:
        """Take the next bytes; they are kept until their batch is full.

        Raises:
            Problem: 413, 415 or 422, as soon as it is known; 503 where the store is away.
            OSError: The store is full: 507.
        """
        self._size += len(data)
        if self._size > self._terms.max_bytes:
            raise PayloadTooLarge
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._writing is None and self._pending_bytes >= HEAD_BYTES:
            await self._begin()
        if self._pending_bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what has been gathered, if its type is known."""
        if self._pending:
            await self._write(self._judge)

    async def _write(self, judge: Judge) -> None:
        if self._writing is None:
            return
        batch, self._pending = self._pending, []
        count, self._pending_bytes = self._pending_bytes, 0
        self._room.reserve(count)
        self._reserved += count
        with rejections(), store_failures():
            await self._writing.write(batch, judge)
            for scan in self._scans:
                await scan.feed(batch)

    async def finish(self) -> Stored:
        """Put the file into the store, whole and durable.

        Raises:
            Problem: As `feed`; 400 where the content is not what its digest says.
        """
        if self._writing is None:
            await self._begin()
        await self._write(self._judge_last)
        assert self._writing is not None and self._type is not None  # noqa: S101 - `_begin` set them
        with rejections(), store_failures():
            for scan in self._scans:
                await scan.finish()
            self._digests.check()
            await self._writing.commit()
        return self._stored(self._type)

    async def close(self) -> None:
        """Let go of everything; a file that was not finished is gone."""
        self._pending.clear()
        try:
            await self._stack.aclose()
        finally:
            self._room.release(self._reserved)
            self._reserved = 0

    async def _begin(self) -> None:
        head = b"".join(self._pending)[:HEAD_BYTES]
        self._type = kind = _identify(head, self._part.media_type, self._terms.accept)
        self._inspector = kind.inspector()
        writing = self._room.store.writing(
            self.key,
            media_type=kind.media_type,
            content_disposition=content_disposition(self._name(kind)),
        )
        with store_failures():
            self._writing = await self._stack.enter_async_context(writing)
        for check in self._terms.checks:
            scan = await self._stack.enter_async_context(check.open(media_type=kind.media_type))
            self._scans.append(scan)

    def _judge(self, batch: Batch) -> None:
        assert self._inspector is not None  # noqa: S101 - `_begin` set it
        for data in batch:
            self._inspector.feed(data)
            self._hash.update(data)
            if self._digests:
                self._digests.feed(data)

    def _judge_last(self, batch: Batch) -> None:
        assert self._inspector is not None  # noqa: S101 - `_begin` set it
        self._judge(batch)
        self._inspector.finish()

    def _name(self, kind: FileType) -> str:
        return display_name(self._part.filename, extension=kind.extension)

    def _stored(self, kind: FileType) -> Stored:
        return Stored(
            key=self.key,
            filename=self._name(kind),
            media_type=kind.media_type,
            size_bytes=self._size,
            sha256=self._hash.hexdigest(),
        )


def _identify(head: bytes, declared: str, accept: tuple[FileType, ...]) -> FileType:
    """Return what the bytes say, unless the client says otherwise (HTTP 415)."""
    if not head:
        raise FileRejected(reason="empty", message="The file is empty.")
    fitting = [kind for kind in accept if kind.matches(head)]
    named = fitting if declared in _ANY else [k for k in fitting if k.is_called(declared)]
    if not named:
        raise UnsupportedMediaType
    return named[0]


@contextmanager
def rejections() -> Iterator[None]:
    """Answer 422 for what an inspector or a check rejects."""
    try:
        yield
    except Rejected as rejected:
        raise FileRejected(reason=rejected.reason, message=rejected.message) from rejected


@contextmanager
def store_failures() -> Iterator[None]:
    """Answer 503 where the store is away; where it is full, the contract says so (507)."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise
        log.exception("the store failed")
        raise ServiceUnavailable from error
