"""`FileReceiver`: write one file into the store, and judge it as it streams.

The bytes are gathered into batches. A thread inspects, hashes and writes a batch; meanwhile
nothing is read from the client.
"""

import errno
import hashlib
import logging
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Final

from roadworthy.problems import PayloadTooLarge, ServiceUnavailable
from roadworthy.uploads.checks import Scan
from roadworthy.uploads.errors import FileRejected
from roadworthy.uploads.filenames import content_disposition, display_name
from roadworthy.uploads.files import Files
from roadworthy.uploads.receiving.buffered import BufferedWriting
from roadworthy.uploads.receiving.digests import Digests
from roadworthy.uploads.receiving.multipart import Part
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.store import Batch, Judge, Writing
from roadworthy.uploads.stored import KiB, Stored
from roadworthy.uploads.types.identify import TypeDetector, identify
from roadworthy.uploads.types.inspecting.filetype import HEAD_BYTES, FileType, Rejected
from roadworthy.uploads.types.inspecting.reasons import ADVICE

__all__ = [
    "BATCH_BYTES",
    "FileReceiver",
    "identify",
    "left_to_the_sweep",
    "rejections",
    "store_failures",
]

log = logging.getLogger("roadworthy.uploads")

BATCH_BYTES: Final = 256 * KiB
"""Bytes of a batch: larger ones save little time and take memory for each upload."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


class FileReceiver:
    """Receive one file: `feed` its bytes, then `finish`, and always `close`."""

    def __init__(self, policy: Policy, files: Files, part: Part, *, key: str) -> None:
        self.key = key
        self._policy, self._files, self._part = policy, files, part
        self._pending: list[memoryview] = []
        self._pending_bytes = self._size = self._reserved = 0
        self._judging: _Judging | None = None
        self._stack = AsyncExitStack()

    async def feed(self, data: memoryview) -> None:
        """Buffer the next bytes until their batch is full.

        Raises:
            Problem: 413, 415 or 422, as soon as the fault shows; 503 if the store is away.
            OSError: The store is full (507).
        """
        self._size += len(data)
        if self._size > self._policy.max_bytes:
            raise PayloadTooLarge
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._judging is None and self._pending_bytes >= HEAD_BYTES:
            self._judging = await self._begin()
        if self._pending_bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write the buffered bytes, if the type is known."""
        if self._judging is not None and self._pending:
            await self._write(self._judging, self._judging.feed)

    async def finish(self) -> Stored:
        """Commit the file to the store, whole and durable.

        Raises:
            Problem: As `feed`; 400 if the content does not match its digest.
        """
        judging = self._judging or await self._begin()
        await self._write(judging, judging.feed_last)
        with rejections(), store_failures():
            for scan in judging.scans:
                await scan.finish()
            if isinstance(judging.writing, BufferedWriting):
                name = self._part.filename
                return await judging.writing.convert(self._files, key=self.key, filename=name)
            await judging.writing.commit()
        return Stored(
            key=self.key,
            filename=self._name(judging.kind),
            media_type=judging.kind.media_type,
            size_bytes=self._size,
            sha256=judging.hash.hexdigest(),
        )

    async def close(self) -> None:
        """Release all resources, and discard the file unless it was finished."""
        self._pending.clear()
        try:
            await self._stack.aclose()
        finally:
            self._files.release(self._reserved)
            self._reserved = 0

    async def _begin(self) -> "_Judging":
        head = b"".join(self._pending)[:HEAD_BYTES]
        detector = TypeDetector(head, self._part.media_type, self._policy.accept)
        kind = detector.kind
        with store_failures():
            writing = await self._open(kind)
        scans = [
            await self._stack.enter_async_context(check.open(media_type=kind.media_type))
            for check in self._policy.checks
        ]
        return _Judging(detector, writing, scans, Digests(self._part.headers))

    async def _open(self, kind: FileType) -> Writing | BufferedWriting:
        if conversion := self._policy.conversions.get(kind):
            buffered = BufferedWriting(conversion, media_type=kind.media_type)
            return await self._stack.enter_async_context(buffered)
        disposition = content_disposition(self._name(kind))
        writing = self._files.store.writing(
            self.key, media_type=kind.media_type, content_disposition=disposition
        )
        return await self._stack.enter_async_context(writing)

    async def _write(self, judging: "_Judging", judge: Judge) -> None:
        batch, self._pending = self._pending, []
        count, self._pending_bytes = self._pending_bytes, 0
        self._files.reserve(count)
        self._reserved += count
        with rejections(), store_failures():
            await judging.writing.write(batch, judge)
            for scan in judging.scans:
                await scan.feed(batch)

    def _name(self, kind: FileType) -> str:
        return display_name(self._part.filename, extension=kind.extension)


class _Judging:
    """The inspector, checks and digests of a file whose type is known."""

    def __init__(
        self,
        detector: TypeDetector,
        writing: Writing | BufferedWriting,
        scans: Sequence[Scan],
        digests: Digests,
    ) -> None:
        self.kind, self.writing, self.scans = detector.kind, writing, scans
        self.hash = hashlib.sha256()
        self._detector, self._inspector = detector, detector.inspector
        self._digests = digests

    def feed(self, batch: Batch) -> None:
        for data in batch:
            self._inspector.feed(data)
            self.hash.update(data)
            self._digests.feed(data)

    def feed_last(self, batch: Batch) -> None:
        self.feed(batch)
        self._inspector.finish()
        self.kind = self._detector.final_type()
        self._digests.check()


@contextmanager
def rejections() -> Generator[None]:
    """Turn the rejections of inspectors and checks into 422."""
    try:
        yield
    except Rejected as rejected:
        message = f"{rejected.message} {ADVICE.get(rejected.reason, '')}".rstrip()
        raise FileRejected(reason=rejected.reason, message=message) from rejected


@contextmanager
def store_failures() -> Generator[None]:
    """Turn failures of the store into 503; a full store passes (507)."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise
        log.exception("the store failed")
        raise ServiceUnavailable from error


@contextmanager
def left_to_the_sweep() -> Generator[None]:
    """Ignore failures of deleting a refused file: the sweep deletes it.

    The client learns why its file was refused, and not that the store failed as well.
    """
    try:
        yield
    except OSError:
        log.exception("the store failed to remove a file that was not kept; the sweep will")
