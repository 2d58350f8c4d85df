"""Serve a stored file, whole or in part, so that no browser runs it.

@router.get("/documents/{document_id}/content")
async def content(document_id: str, request: Request, read: Read) -> Response:
    row = await find_document(read, document_id)
    return await find(request, Files).download(request, row.stored())
"""

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from roadworthy._internal.finish import to_its_end
from roadworthy.problems import RangeNotSatisfiable, ServiceUnavailable
from roadworthy.uploads.filenames import content_disposition
from roadworthy.uploads.serving.ranges import (
    OutOfRange,
    Validators,
    part_wanted,
    status_by_date,
    status_by_tag,
)
from roadworthy.uploads.store import FileMissing, Reading, Store
from roadworthy.uploads.stored import KiB, Stored
from roadworthy.uploads.types.images import formats

__all__ = ["INLINE", "Broken", "download"]

log = logging.getLogger("roadworthy.uploads")

INLINE: Final = frozenset(
    {*(one.media_type for one in formats.SHOWN), "application/pdf", "text/plain"}
)
"""Types that a browser may show in place: none of them runs as a page of this site."""
_TYPED: Final = {kind: f"{kind}; charset=utf-8" for kind in ("text/plain", "text/csv", "text/html")}
"""Types sent as UTF-8, which the inspectors demand: else a browser would guess."""
_PIECE: Final = 64 * KiB
"""Bytes given to the server at once, and so kept in memory for a client that has stopped."""
_OF_304: Final = frozenset({"etag", "cache-control", "last-modified"})
"""The headers of a 304 (RFC 9110 §15.4.5)."""
_SANDBOX: Final = "sandbox; default-src 'none'"
"""Lets a file run no script and gives it no origin. Chromium still shows images, text and PDF."""


class Broken(RuntimeError):
    """A file in the store is missing, unreadable, or not what its row says."""


class _OutOfRange(RangeNotSatisfiable):
    """The requested range lies outside the content."""

    code = "RANGE_NOT_SATISFIABLE"
    headers = {"Content-Range": "bytes */{size}"}  # noqa: RUF012 - never changed
    size: int

    def details(self) -> list[Any]:
        """Return nothing: the size is in the header."""
        return []


async def download(
    store: Store,
    stored: Stored,
    request: Request,
    *,
    inline: bool = False,
    cache_control: str = "private, no-cache",
    stalled: timedelta = timedelta(minutes=1),
) -> Response:
    """Answer a GET or HEAD with a file: 200, 206 for a range, 304 if it is known.

    The ETag is the file's SHA-256. `inline` lets a browser show types that are safe to show:
    images, PDF and plain text. The file is opened after all dependencies are closed and before
    the answer begins, so that a failing store is answered 500 or 503. If the store fails later,
    the connection is cut. A client that reads nothing for `stalled` counts as gone.

    Raises:
        RangeNotSatisfiable: 416. Like the others, raised as the response is sent.
        HTTPException: 412. An If-Match or If-Unmodified-Since does not hold.
        ServiceUnavailable: 503. The store is away.
        Broken: 500. The store does not have the file that the row names.
    """
    headers = _headers(stored, inline=inline, cache_control=cache_control)
    status = status_by_tag(request, headers["ETag"])
    if status is not None:  # decided without asking the store
        return _short(status, headers)
    return _Download(store, stored, request, headers, stalled)


def _headers(stored: Stored, *, inline: bool, cache_control: str) -> dict[str, str]:
    inline = inline and stored.media_type in INLINE
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    return {
        "ETag": f'"{stored.sha256}"',
        "Cache-Control": cache_control,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Type": _TYPED.get(stored.media_type, stored.media_type),
        "Content-Disposition": content_disposition(stored.filename, inline=inline),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _SANDBOX,
        "Cross-Origin-Resource-Policy": "same-site",
    }


def _short(status: int, headers: dict[str, str]) -> Response:
    if status == HTTPStatus.PRECONDITION_FAILED:
        raise HTTPException(status)
    kept = {name: text for name, text in headers.items() if name.lower() in _OF_304}
    return Response(status_code=status, headers=kept)


class _Download(StreamingResponse):
    """A response that opens its file only when it is sent."""

    def __init__(
        self,
        store: Store,
        stored: Stored,
        request: Request,
        headers: dict[str, str],
        stalled: timedelta,
    ) -> None:
        super().__init__(_nothing(), headers=headers)
        self._store, self._stored, self._request = store, stored, request
        self._stalled = stalled.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the file, choose what the request asks for, and send it."""
        async with _opened(self._store, self._stored) as reading:
            answer = self._prepare(reading)
            if answer is None:
                await super().__call__(scope, receive, send)
            else:
                await answer(scope, receive, send)

    def _prepare(self, reading: Reading) -> Response | None:
        """Set the headers that need the file's date; return another answer, if any."""
        size = self._stored.size_bytes
        modified_at = min(reading.modified_at, datetime.now(UTC)).astimezone(UTC)
        validators = Validators(self.headers["ETag"], modified_at.replace(microsecond=0))
        self.headers["Last-Modified"] = format_datetime(validators.modified_at, usegmt=True)
        status = status_by_date(self._request, validators.modified_at)
        if status is not None:
            return _short(status, dict(self.headers))
        try:
            part = part_wanted(self._request, validators, size)
        except OutOfRange:
            raise _OutOfRange(size=size) from None
        start, end = part or (0, size)
        if part:
            self.status_code = HTTPStatus.PARTIAL_CONTENT
            self.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self.headers["Content-Length"] = str(end - start)
        if self._request.method != "HEAD":
            self.body_iterator = _exactly(reading, start, end, self._stored.key)
        return None

    async def stream_response(self, send: Send) -> None:
        """Send the file within the time that `send` may take, then close it."""
        pieces = self.body_iterator
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        try:
            async for piece in pieces:
                await self._send(send, piece)
        finally:
            await to_its_end(_close(pieces))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, piece: Any) -> None:
        try:
            async with asyncio.timeout(self._stalled):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            log.info("a client took nothing of a download for %g s: given up", self._stalled)
            raise ClientDisconnect from None


@asynccontextmanager
async def _opened(store: Store, stored: Stored) -> AsyncGenerator[Reading]:
    reading = await _enter(store, stored.key)
    try:
        if reading.size_bytes != stored.size_bytes:
            raise Broken(
                f"{stored.key} has {reading.size_bytes} bytes in the store, and its row says "
                f"{stored.size_bytes}. Something else has written there."
            )
        yield reading
    finally:
        await to_its_end(_leave(reading))


async def _enter(store: Store, key: str) -> Reading:
    try:
        return await store.reading(key).__aenter__()
    except FileMissing as missing:
        raise Broken(
            f"{key} is not in the store, though a row names it. Was the store changed, or a "
            "file deleted before its row?"
        ) from missing
    except OSError as error:
        log.exception("the store failed")
        raise ServiceUnavailable from error


async def _leave(reading: Reading) -> None:
    await reading.__aexit__(None, None, None)


async def _exactly(reading: Reading, start: int, end: int, key: str) -> AsyncIterator[bytes]:
    """Yield exactly the bytes of a part, in small pieces."""
    chunks, left = reading.chunks(start, end), end - start
    try:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            for at in range(0, len(chunk), _PIECE):
                yield chunk[at : at + _PIECE]
    except OSError as error:  # so that it is not taken for a failure of the client's socket
        raise Broken(f"{key} could not be read to its end.") from error
    finally:
        await to_its_end(_close(chunks))
    if left:
        raise Broken(f"{key} has another length in the store than when it was opened.")


async def _close(pieces: object) -> None:
    if isinstance(pieces, AsyncGenerator):  # its clean-up must not wait for the garbage collector
        await pieces.aclose()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
