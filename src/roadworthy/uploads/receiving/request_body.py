"""`RequestBody`: the bytes of one request, within the limits of its pace."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from roadworthy._request_body import body_of, pace_itself, take_body
from roadworthy.problems import RequestTimeout
from roadworthy.uploads.receiving.pace import Pace, PaceClock

__all__ = ["RequestBody", "declared_length"]

_QUIET: Final = 1.0
"""Seconds of silence after which `read` returns, so that its caller can free memory."""


class RequestBody:
    """Read a request's body from the socket, never faster than the caller asks."""

    def __init__(self, request: Request, pace: Pace) -> None:
        pace_itself(request.scope)
        self._kept = body_of(request)
        if self._kept is None:
            take_body(request)
        self._receive = request.receive
        self._loop = asyncio.get_running_loop()
        self._clock = PaceClock(pace)
        self._more = True
        self.received = 0
        """Bytes that have been read."""

    async def read(self) -> bytes | None:
        """Return the next bytes, `b""` at the end, None after a second of silence.

        Raises:
            RequestTimeout: 408. The client stopped, or sends too slowly.
            ClientDisconnect: The client has left.
        """
        if self._kept is not None:
            kept, self._kept, self._more = self._kept, None, False
            return kept
        while self._more:
            piece = await self._next()
            if piece is None or piece:
                return piece
        return b""

    async def _next(self) -> bytes | None:
        began = self._loop.time()
        try:
            async with asyncio.timeout(_QUIET):
                message = await self._receive()
        except TimeoutError:
            self._note(0, began)
            return None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._note(len(piece), began)
        return piece

    def _note(self, count: int, began: float) -> None:
        self._clock.note(count, self._loop.time() - began)
        self.received += count
        if self._more and self._clock.is_late():
            raise RequestTimeout


def declared_length(request: Request) -> int | None:
    """Return the `Content-Length`, None without one."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and text.isascii() else None
