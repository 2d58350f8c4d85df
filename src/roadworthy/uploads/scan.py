"""`ClamAV`: have a virus scanner check files while they stream.

    clamav = ClamAV("unix:///run/clamav/clamd.ctl")
    documents = Upload(max_bytes=25 * MiB, accept=(PDF,), checks=[clamav])
    health.add("clamav", clamav.ping)

The bytes go to clamd by its command INSTREAM. Three settings of clamd have to fit:
`StreamMaxLength` and `MaxFileSize` must be at least the `max_bytes` of the upload (clamd passes
larger files unread), and `ReadTimeout` must be longer than the `idle` of the upload.
"""

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from roadworthy._internal.durations import check_duration
from roadworthy.problems import ServiceUnavailable
from roadworthy.uploads.arguments import check_text, check_type
from roadworthy.uploads.checks import Scan
from roadworthy.uploads.store import Batch
from roadworthy.uploads.types.inspecting.filetype import Rejected

__all__ = ["ClamAV"]

log = logging.getLogger("roadworthy.uploads")

_MAX_ANSWER: Final = 4096
_CLEAN: Final = b"stream: OK"
_FOUND: Final = b" FOUND"
_TOO_LONG: Final = b"INSTREAM size limit exceeded"


class ClamAV:
    """Reject files in which clamd finds a virus: a `Check`.

    Args:
        address: `tcp://127.0.0.1:3310` or `unix:///run/clamav/clamd.ctl`.
        timeout: How long clamd may take to read a batch, and to judge the file at its end.
        connect_timeout: How long clamd may take to accept the connection.
        required: If clamd is away, fails or is too slow, answer 503. With False the file
            passes, and the log says that it was not scanned.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: timedelta = timedelta(seconds=60),
        connect_timeout: timedelta = timedelta(seconds=5),
        required: bool = True,
    ) -> None:
        check_text("address", address, example="tcp://127.0.0.1:3310")
        check_duration("timeout", timeout, above_zero=True)
        check_duration("connect_timeout", connect_timeout, above_zero=True)
        check_type("required", required, bool, "True or False", "False")
        self._place = _place(address)
        self._seconds = timeout.total_seconds()
        self._connect_seconds = connect_timeout.total_seconds()
        self._required = required

    def open(self, *, media_type: str) -> AbstractAsyncContextManager[Scan]:
        """Begin to scan one file, of any type.

        Raises:
            ServiceUnavailable: 503. clamd is away; raised on entering.
        """
        return self._scanning()

    async def ping(self) -> None:
        """Check that clamd answers, for a health check.

        Raises:
            OSError: clamd does not run, or does not answer.
        """
        async with self._wire() as wire:
            await wire.command(b"zPING\0")
            answer = await wire.answer()
        if answer != b"PONG":
            raise OSError(f"clamd should answer PONG and says {answer!r}.")

    @asynccontextmanager
    async def _scanning(self) -> AsyncGenerator[Scan]:
        async with AsyncExitStack() as stack:
            scan = _Scan(required=self._required)
            with scan.failures():
                wire = await stack.enter_async_context(self._wire())
                await wire.command(b"zINSTREAM\0")
                scan.wire = wire
            yield scan

    @asynccontextmanager
    async def _wire(self) -> AsyncGenerator["_Wire"]:
        async with asyncio.timeout(self._connect_seconds):
            reader, writer = await self._connect()
        # The buffer holds the caller's memory, so a drain has to empty it.
        writer.transport.set_write_buffer_limits(0)
        try:
            yield _Wire(reader, writer, self._seconds)
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        if isinstance(self._place, str):
            return await asyncio.open_unix_connection(self._place, limit=_MAX_ANSWER)
        return await asyncio.open_connection(*self._place, limit=_MAX_ANSWER)


class _Scan:
    """The scan of one file; without a connection, the file passes unscanned."""

    def __init__(self, *, required: bool) -> None:
        self._required = required
        self.wire: _Wire | None = None

    async def feed(self, batch: Batch, /) -> None:
        """Send the next bytes; clamd judges the whole file."""
        if self.wire is not None:
            with self.failures():
                await self.wire.send(batch)

    async def finish(self) -> None:
        """Ask clamd for its verdict."""
        if self.wire is not None:
            with self.failures():
                _judge(await self.wire.end())

    @contextmanager
    def failures(self) -> Generator[None]:
        """Turn failures of clamd into 503, or go on without clamd where that is allowed."""
        try:
            yield
        except (OSError, EOFError, asyncio.LimitOverrunError, _NoVerdict) as error:
            self.wire = None
            if self._required:
                log.exception("clamd could not look at a file: refused")
                raise ServiceUnavailable from error
            log.warning("clamd could not look at a file: taken without", exc_info=error)


class _NoVerdict(Exception):
    """The answer of clamd contains no verdict."""


class _Wire:
    """A connection to clamd."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, seconds: float) -> None:
        self._reader, self._writer, self._seconds = reader, writer, seconds

    async def command(self, command: bytes) -> None:
        """Send a command."""
        self._writer.write(command)
        await self._drain()

    async def send(self, batch: Batch) -> None:
        """Send bytes of a file, and wait until clamd has taken them."""
        for data in batch:
            if data:  # an empty chunk would mean the end
                self._writer.write(len(data).to_bytes(4, "big"))
                self._writer.write(data)
        try:
            await self._drain()
        except ConnectionError as error:
            raise _NoVerdict(await self._last_words()) from error

    async def end(self) -> bytes:
        """Send the end of the file, and return the verdict."""
        try:
            await self.command(bytes(4))
        except ConnectionError as error:
            raise _NoVerdict(await self._last_words()) from error
        return await self.answer()

    async def answer(self) -> bytes:
        """Return the next answer of clamd."""
        async with asyncio.timeout(self._seconds):
            return (await self._reader.readuntil(b"\0"))[:-1]

    async def _drain(self) -> None:
        async with asyncio.timeout(self._seconds):
            await self._writer.drain()

    async def _last_words(self) -> bytes:
        """Return the reason why clamd closed the connection, if it sent one."""
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            return await self.answer()
        return b"it closed the connection"


def _judge(verdict: bytes) -> None:
    if verdict.endswith(_FOUND):
        log.warning("clamd found something in a file, which was rejected: %r", verdict)
        raise Rejected("malware", "The file contains malware.")
    if verdict.startswith(_TOO_LONG):
        raise _NoVerdict(f"{verdict!r}: raise StreamMaxLength in clamd.conf to max_bytes or more")
    if verdict != _CLEAN:
        raise _NoVerdict(repr(verdict))


def _place(address: str) -> str | tuple[str, int]:
    parts = urlsplit(address)
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return parts.path
    if parts.scheme == "tcp" and parts.hostname and parts.port:
        return parts.hostname, parts.port
    raise ValueError(
        f"{address!r} is no address of clamd. Write one such as 'tcp://127.0.0.1:3310' or "
        "'unix:///run/clamav/clamd.ctl'."
    )
