"""`Streams`: responses without an end, which a server would wait for as long."""

import asyncio
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Streams"]

_ENDLESS: Final = (b"text/event-stream", b"application/jsonl", b"application/x-ndjson")
"""Formats whose clients know what to do at an end between two messages: come again."""

_Task = asyncio.Task[Any]


class Streams:
    """Know the endless responses under way, and end them between two messages."""

    def __init__(self) -> None:
        self._open: set[_Task] = set()
        self._ended: set[_Task] = set()

    def end(self) -> None:
        """End them all; their generators see a cancellation, as when a client leaves."""
        for task in list(self._open):
            self._ended.add(task)
            task.cancel()

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, leaving: bool
    ) -> None:
        """Serve one request; where `leaving`, the client is told to connect anew."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        closes = leaving and scope["http_version"] != "2"
        response = _Response(send, self._open, task, closes=closes)
        try:
            await app(scope, receive, response.send)
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            await response.end()
        finally:
            self._open.discard(task)
            self._ended.discard(task)


class _Response:
    """One response on its way out. Every request pays for this: keep it lean."""

    __slots__ = ("closes", "ended", "endless", "forward", "task")

    def __init__(self, forward: Send, endless: set[_Task], task: _Task, *, closes: bool) -> None:
        self.forward, self.endless, self.task, self.closes = forward, endless, task, closes
        self.ended = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            if _is_endless(message):
                self.endless.add(self.task)
            if self.closes:
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
        elif not message.get("more_body", False):
            self.ended = True
        await self.forward(message)

    async def end(self) -> None:
        """Close the body where it is still open."""
        if not self.ended:
            await self.forward({"type": "http.response.body", "body": b""})


def _is_endless(message: Message) -> bool:
    for name, value in message.get("headers", ()):
        if name == b"content-type":
            return bytes(value).partition(b";")[0] in _ENDLESS
    return False
