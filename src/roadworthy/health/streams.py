"""`Streams`: responses without an end, which would keep a server from stopping."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy._internal.endless import is_endless
from roadworthy._internal.finish import forget_cancellation

__all__ = ["Streams"]

_LAST: Final = 1.0
"""Seconds for the end of a body: a client that does not read must not hold up the stop."""

_Task = asyncio.Task[Any]


class Streams:
    """The endless responses that are being sent, and can be ended."""

    def __init__(self) -> None:
        self._open: set[_Stream] = set()

    def end(self) -> None:
        """End all streams; their generators are cancelled, as when a client leaves."""
        for response in list(self._open):
            response.cancel()

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, leaving: bool
    ) -> None:
        """Serve one request; where `leaving`, its connection is closed."""
        response = _Stream(send, self._open, closes=leaving and scope["http_version"] != "2")
        try:
            await app(scope, receive, response.send)
            if response.cancelled:
                await forget_cancellation()
        except asyncio.CancelledError:
            if not response.cancelled:
                raise
            await response.end()
        finally:
            self._open.discard(response)


class _Stream:
    """One response on its way out. Every request pays for this: keep it lean."""

    __slots__ = ("_closes", "_ended", "_forward", "_open", "_task", "cancelled")

    def __init__(self, forward: Send, others: "set[_Stream]", *, closes: bool) -> None:
        self._forward, self._open, self._closes = forward, others, closes
        self._task: _Task | None = asyncio.current_task()
        self._ended = False
        self.cancelled = False
        """Whether `Streams.end` cancelled the task, and nobody else."""

    async def send(self, message: Message) -> None:
        """Send a message on, and note whether the response has an end."""
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            if is_endless(headers):
                self._open.add(self)
            if self._closes:
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        elif not message.get("more_body", False):
            self._ended = True
        await self._forward(message)

    def cancel(self) -> None:
        """Cancel the task that writes the response."""
        if self._task is not None:
            self.cancelled = True
            self._task.cancel()

    async def end(self) -> None:
        """End the body, if it is still open."""
        await forget_cancellation()
        if not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST):
                    await self._forward({"type": "http.response.body", "body": b""})
