"""`LingeringClose`: let clients see a refusal that comes before the whole body.

A server that closes at once resets the connection under a client that is still sending,
and its answer is lost. One that reads on serves a body that nobody wants, for as long
as it comes: uvicorn does, without a limit of bytes or of time. This is the way between
(RFC 9112 §9.6, a lingering close): answer at once, say that the connection ends, go on
reading for a while, then close.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy._internal.durations import check_duration, check_size

__all__ = ["Linger", "LingeringClose", "has_body", "has_more_body"]

FIRST_REFUSAL: Final = 300
"""From here on the body does not matter to the answer: the client is sent away with it."""

SMALL: Final = 64 * 1024
"""A rest of so few bytes is read first, so that the connection can be kept."""

GRACE: Final = timedelta(milliseconds=100)
"""How long an answer waits for a small rest: mostly it has come with the headers."""

_SCOPE_KEY: Final = "roadworthy.lingering_close"
_CLOSE: Final = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Linger:
    """The limits of reading on after a refusal, so that the client sees that answer."""

    max_bytes: int = 64 * 1024 * 1024
    max_time: timedelta = timedelta(seconds=10)
    max_pause: timedelta = timedelta(seconds=2)
    """How long the client may send nothing."""

    def __post_init__(self) -> None:
        """Check that each limit is a size or a duration."""
        check_size("max_bytes", self.max_bytes)
        check_duration("max_time", self.max_time)
        check_duration("max_pause", self.max_pause)


class LingeringClose:
    """ASGI middleware that refuses at once, reads a little more, and then closes.

    `problems.install` includes it. Without the contract, wrap the whole application,
    so that nothing answers outside of it:

        app = LingeringClose(FastAPI(...))
    """

    def __init__(self, app: ASGIApp, linger: Linger | None = None) -> None:
        self.app = app
        self.linger = linger or Linger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; one without a body pays for a look at its headers."""
        if scope["type"] != "http" or not (headers := _framing(scope)):
            await self.app(scope, receive, send)
            return
        # We are around a mounted application, too: it finds the mark, and leaves this to us.
        request = scope[_SCOPE_KEY] = _RequestWithBody(receive, send, headers)
        try:
            await self.app(scope, request.receive, request.send)
        except Exception:  # the server would close as soon as it hears of it
            await request.end(self.linger)
            raise
        if request.answered:
            await request.end(self.linger)


def has_more_body(scope: Scope) -> bool:
    """Return whether more of the request's body may come, as far as is known."""
    request: _RequestWithBody | None = scope.get(_SCOPE_KEY)
    if request is not None:
        return not request.whole
    return not scope.get("http_version", "1.1").startswith("1")


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the headers of a request announce a body (RFC 9112 §6)."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _framing(scope: Scope) -> dict[bytes, bytes] | None:
    """Return the headers of a request that has a body which may outlive its answer."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if not has_body(headers):
        return None
    # HTTP/2 and later end one stream, not the connection, and hold senders back themselves.
    if _SCOPE_KEY in scope or not scope.get("http_version", "1.1").startswith("1"):
        return None
    return headers


class _RequestWithBody:
    """A request with a body, and the answer to it. All pay for this: keep it lean."""

    __slots__ = ("answered", "asked", "forward", "headers", "lingers", "read", "source", "whole")

    def __init__(self, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        self.source = receive
        self.forward = send
        self.headers = headers
        self.asked = False
        """Whether anybody wanted the body."""
        self.read = 0
        self.whole = False
        """Whether nothing more will come: it has been read, or the client has gone."""
        self.lingers = False
        self.answered = False

    async def receive(self) -> Message:
        """Receive a message, and count the bytes of the body."""
        self.asked = True
        message = await self.source()
        self.read += len(message.get("body", b""))
        if not message.get("more_body", False):
            self.whole = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message on; once the body was read, which is usual, that costs little."""
        if self.whole and not self.lingers:
            return self.forward(message)
        return self._send(message)

    async def _send(self, message: Message) -> None:
        """Send a message of an answer so that the client gets all of the answer."""
        kind = message["type"]
        if kind == "http.response.start":
            if not self.whole and message["status"] >= FIRST_REFUSAL:
                message = await self._refuse(message)
        elif self.lingers and kind == "http.response.body" and not message.get("more_body"):
            self.answered = True
            message = {**message, "more_body": True}
        await self.forward(message)

    async def _refuse(self, start: Message) -> Message:
        if self._may_be_small():
            await self._discard(SMALL, GRACE, GRACE)
        if self.whole:
            return start
        self.lingers = True
        headers = [pair for pair in start.get("headers", ()) if pair[0].lower() != _CLOSE[0]]
        return {**start, "headers": [*headers, _CLOSE]}

    def _may_be_small(self) -> bool:
        if not self.asked and self.headers.get(b"expect", b"").lower() == b"100-continue":
            return False  # to read would be to ask for it
        length = self.headers.get(b"content-length", b"")
        return not length.isdigit() or int(length) - self.read <= SMALL

    async def end(self, linger: Linger) -> None:
        """Read the rest of the body within the limits, then let the server close."""
        if self.answered:
            await self._discard(linger.max_bytes, linger.max_time, linger.max_pause)
            await self.forward({"type": "http.response.body", "body": b""})

    async def _discard(self, max_bytes: int, max_time: timedelta, max_pause: timedelta) -> None:
        now = asyncio.get_running_loop().time
        enough, end = self.read + max_bytes, now() + max_time.total_seconds()
        try:
            async with asyncio.timeout_at(end) as deadline:
                while not self.whole and self.read < enough:
                    deadline.reschedule(min(end, now() + max_pause.total_seconds()))
                    await self.receive()
        except TimeoutError:
            pass
