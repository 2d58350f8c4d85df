"""`Files`: the part that uploads are stored with, and downloads come from."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response

from roadworthy._internal.durations import check_duration
from roadworthy.problems import PayloadTooLarge, ServiceUnavailable
from roadworthy.uploads.arguments import check_number
from roadworthy.uploads.filenames import content_disposition, display_name
from roadworthy.uploads.serving import download as _download
from roadworthy.uploads.store import Batch, Reading, Store
from roadworthy.uploads.stored import GiB, MiB, Stored

__all__ = ["HELD", "UNFINISHED", "Files", "Known"]

log = logging.getLogger("roadworthy.uploads")

Known = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Returns those of the given keys that a row of the application names."""

UNFINISHED: Final = "unfinished/"
"""The prefix of pieces that are no files yet, which expire by rules of their own."""
HELD: Final = f"{UNFINISHED}held/"
"""The prefix of marks, `held/<key>.<mark>`: the sweep keeps the file under that key."""
_NOW: Final = f"{UNFINISHED}now/"
"""The prefix of files that are written to read the clock of the store."""
_SWEEP_BATCH: Final = 500
_OLD: Final = timedelta(hours=1)
_LAST_SECONDS: Final = 5.0
"""How long a store stays open for uploads that were cancelled."""


class Files:
    """Store files, and serve them.

        files = Files(Disk("var/files"))
        app = FastAPI(lifespan=lifespan(db, files))

    `Files` is a part: pass it to `lifespan`. When it is opened, it removes unfinished files that
    killed processes have left.

    Args:
        store: Where the files are kept.
        max_in_flight: The most bytes of this process's uploads that are neither stored nor
            refused yet; further uploads are answered 503.
        unfinished_for: How long a client may take to complete a file that it sends in pieces, or
            directly to the store.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_in_flight: int = 16 * GiB,
        unfinished_for: timedelta = timedelta(days=1),
    ) -> None:
        if not callable(getattr(store, "writing", None)) or isinstance(store, type):
            raise TypeError(f'store is a Store, not {store!r}: write Files(Disk("var/files")).')
        check_number("max_in_flight", max_in_flight, example="16 * GiB")
        check_duration("unfinished_for", unfinished_for, above_zero=True)
        self.store = store
        self.max_in_flight = max_in_flight
        self.unfinished_for = unfinished_for
        self.in_flight = 0
        """Bytes of uploads that are being received."""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.store)
        removed = await self.store.sweep_unfinished(older_than=_OLD)
        if removed:
            log.info("%d unfinished files of processes that ended were removed", removed)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._wait_for_uploads()
        await self._stack.aclose()

    async def _wait_for_uploads(self) -> None:
        # Servers stop waiting for requests that they cancel: those still have to clean up.
        end = time.monotonic() + _LAST_SECONDS
        while self.in_flight and time.monotonic() < end:  # noqa: ASYNC110 - once in a process
            await asyncio.sleep(0.02)

    async def ping(self) -> None:
        """Check that the store answers, for a health check.

        Raises:
            OSError: The store does not answer.
        """
        await anext(self.store.entries(UNFINISHED), None)

    def new_key(self, prefix: str = "") -> str:
        """Return a new key that nobody can guess: 128 random bits, in folders of 256."""
        name = secrets.token_hex(16)
        return f"{prefix}{name[:2]}/{name}"

    def reserve(self, count: int) -> None:
        """Count bytes of uploads that are being received.

        Raises:
            ServiceUnavailable: 503. More than `max_in_flight` bytes are being received.
        """
        if self.in_flight + count > self.max_in_flight:
            log.warning("uploads of %d bytes are under way: one more was refused", self.in_flight)
            raise ServiceUnavailable(retry_after=5)
        self.in_flight += count

    def release(self, count: int) -> None:
        """Stop counting bytes whose upload has ended."""
        self.in_flight -= count

    def open(self, file: Stored | str) -> Reading:
        """Open a file: `async with files.open(stored) as reading: reading.chunks()`.

        Raises:
            FileMissing: There is no such file; raised on entering.
        """
        return self.store.reading(file if isinstance(file, str) else file.key)

    async def read(self, file: Stored | str, *, max_bytes: int = 64 * MiB) -> bytes:
        """Return the bytes of a file that fits into memory.

        Raises:
            FileMissing: There is no such file.
            PayloadTooLarge: 413. The file has more than `max_bytes`.
        """
        async with self.open(file) as reading:
            if reading.size_bytes > max_bytes:
                raise PayloadTooLarge
            return b"".join([chunk async for chunk in reading.chunks()])

    async def add(
        self, data: bytes, *, media_type: str, filename: str, key: str | None = None
    ) -> Stored:
        """Store a file that the service has made, such as a thumbnail, without checks.

        Raises:
            FileExistsError: There is a file under `key` already.
        """
        stored = Stored(
            key=key or self.new_key(),
            filename=display_name(filename, extension=""),
            media_type=media_type,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        disposition = content_disposition(stored.filename)
        async with self.store.writing(
            stored.key, media_type=media_type, content_disposition=disposition
        ) as writing:
            await writing.write([data], _accept)
            await writing.commit()
        return stored

    async def delete(self, file: Stored | str) -> None:
        """Delete a file. A missing file is no error."""
        await self.store.delete(file if isinstance(file, str) else file.key)

    async def download(self, request: Request, stored: Stored, *, inline: bool = False) -> Response:
        """Return the response with a file, which honours ranges and preconditions.

        Raises:
            RangeNotSatisfiable: 416. The requested range lies behind the end of the file.
        """
        return await _download.download(self.store, stored, request, inline=inline)

    async def sweep(self, known: Known, *, older_than: timedelta = _OLD, prefix: str = "") -> int:
        """Delete files that no row names, and return how many there were.

        Everything under `prefix` that is older than `older_than` and has no row is deleted,
        whoever wrote it there. Younger files stay: they may belong to a request that has not
        committed yet. The age is taken from the clock of the store, because the clock of this
        machine may differ by an hour.

        Args:
            known: Returns the given keys that a row names.
            prefix: The start of the keys to sweep.
            older_than: The least age of a file to delete.
        """
        await self.store.sweep_unfinished(older_than=older_than)
        now = await self._now()
        await self._remove_old(UNFINISHED, now - self.unfinished_for)
        # Marks are read before rows: a mark is removed once the row of its file is committed.
        held = await self._held()
        removed, batch = 0, list[str]()
        async for key in self._older(prefix, now - older_than):
            if not key.startswith(UNFINISHED) and key not in held:
                batch.append(key)
            if len(batch) == _SWEEP_BATCH:
                removed += await self._remove_unknown(batch, known)
                batch = []
        return removed + await self._remove_unknown(batch, known)

    async def _held(self) -> set[str]:
        marks = [entry.key.removeprefix(HELD) async for entry in self.store.entries(HELD)]
        return {mark.rpartition(".")[0] for mark in marks}

    async def _now(self) -> datetime:
        """Return the time by the clock that dates the store's files."""
        key = self.new_key(_NOW)
        try:
            return await self._time_of_new_file(key)
        except OSError:
            log.warning("the store does not tell its time: the machine's is taken", exc_info=True)
            return datetime.now(UTC)  # a full store still needs its sweep

    async def _time_of_new_file(self, key: str) -> datetime:
        async with self.store.writing(
            key, media_type="text/plain", content_disposition="attachment"
        ) as writing:
            await writing.commit()
        try:
            async with self.store.reading(key) as reading:
                return reading.modified_at
        finally:
            await self.store.delete(key)

    async def _older(self, prefix: str, before: datetime) -> AsyncIterator[str]:
        async for entry in self.store.entries(prefix):
            if entry.modified_at <= before:
                yield entry.key

    async def _remove_old(self, prefix: str, before: datetime) -> None:
        async for key in self._older(prefix, before):
            await self.store.delete(key)

    async def _remove_unknown(self, keys: list[str], known: Known) -> int:
        named = set(await known(keys)) if keys else set[str]()
        unknown = [key for key in keys if key not in named]
        for key in unknown:
            await self.store.delete(key)
        return len(unknown)


def _accept(_: Batch) -> None:
    """Accept every batch: the file is the service's own."""
