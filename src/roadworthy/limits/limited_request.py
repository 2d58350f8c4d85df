"""`LimitedRequest`: one request under its limits.

Every request pays for it: keep it lean.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from starlette.types import Message, Receive, Scope, Send

from roadworthy._internal.endless import is_endless
from roadworthy._request_body import paces_itself
from roadworthy.limits.terms import Terms
from roadworthy.problems import Problem, RequestTimeout

__all__ = ["LimitedRequest", "limited_request_of"]

_KEY: Final = "roadworthy.limits"
_LENGTHS: Final = (b"content-length", b"transfer-encoding")
_GRACE: Final = 5.0
"""Seconds before the rate of a body is looked at: connections start slowly."""

_MakeProblem: TypeAlias = Callable[[], Problem]


def limited_request_of(scope: Scope) -> "LimitedRequest | None":
    """Return the limits of a request, None where none were installed."""
    return scope.get(_KEY)


class LimitedRequest:
    """A running request: its time, its client, and why it is cancelled.

    Nothing here sets a timer: whoever looks at all requests from time to time asks `look`.
    """

    __slots__ = (
        "_asking_since",
        "_began",
        "_deadline",
        "_forward",
        "_left",
        "_loop",
        "_outer",
        "_problem",
        "_receive",
        "_received",
        "_running",
        "_scope",
        "_started",
        "_task",
        "_terms",
        "_waited",
        "_watch",
        "_whole",
        "ended",
        "owner",
        "refusal",
    )

    def __init__(
        self,
        terms: Terms,
        scope: Scope,
        receive: Receive,
        forward: Send,
        *,
        owner: object = None,
        running: "set[LimitedRequest]",
    ) -> None:
        self._terms, self._scope, self._receive, self._forward = terms, scope, receive, forward
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self._began = self._loop.time()
        self._deadline = None if terms.time is None else self._began + terms.time
        self._problem = terms.problem
        self._asking_since: float | None = None
        self._waited, self._received = 0.0, 0
        self._whole = self._started = False
        self._watch: _Watch | bool = terms.cancel_on_disconnect
        self.ended = False
        """Whether the response is complete."""
        self._left = False
        self.refusal: Problem | None = None
        """What it was cancelled for, unless its client left."""
        self.owner = owner
        self._outer = limited_request_of(scope)  # of the same application, or of one around it
        scope[_KEY] = self
        self._running = running
        running.add(self)
        if self._watch:
            self._watch_if_whole()

    @property
    def is_cancelled(self) -> bool:
        """Return whether the limits have cancelled the request."""
        return self._left or self.refusal is not None

    def close(self) -> None:
        """Leave the scope: a cycle would keep each request for the garbage collector."""
        if self._outer is None:
            del self._scope[_KEY]
        else:
            self._scope[_KEY] = self._outer
        if isinstance(self._watch, _Watch):
            self._watch.stop()

    def limit(self, seconds: float, problem: _MakeProblem | None) -> None:
        """Give this request another time, counted from its head.

        It replaces that of the application; one around that has its own say.
        """
        self._problem = problem or self._problem
        self._deadline = self._began + seconds + self._waited
        if self._outer is not None and self._outer.owner is self.owner:
            self._outer.limit(seconds, problem)

    def watch(self) -> None:
        """Cancel this request when its client leaves."""
        if not self._watch:
            self._watch = True
            self._watch_if_whole()

    def look(self, now: float) -> None:
        """Cancel the request where its time is over, or the time of its client."""
        if self._started or self.refusal is not None:
            return
        if self._asking_since is not None:
            if self._is_late(now - self._asking_since):
                self._cancel(RequestTimeout())
        elif self._deadline is not None and now > self._deadline:
            self._cancel(self._problem())

    async def receive(self) -> Message:
        """Receive a message; the time that the client takes does not count."""
        if isinstance(self._watch, _Watch):
            return await self._watch.receive()
        if self._whole:
            return await self._receive()
        self._asking_since = began = self._loop.time()
        try:
            message = await self._receive()
        finally:
            self._asking_since = None
            self._note_wait(self._loop.time() - began)
        self._received += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._whole = True
            if self._watch:
                self._watch_if_whole()
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the response; once it has begun, the client's limits count."""
        self._started = True
        if message["type"] == "http.response.start":
            if is_endless(message.get("headers", ())):
                self._running.discard(self)  # who listens is served, and is no load
        elif not message.get("more_body", False):
            self.ended = True
        await self._forward(message)

    def leave(self) -> None:
        """Cancel a request whose client has left, unless it has been answered."""
        if not self.ended:
            self._left = True
            self._stop()

    def _note_wait(self, seconds: float) -> None:
        self._waited += seconds
        if self._deadline is not None:
            self._deadline += seconds

    def _is_late(self, quiet: float) -> bool:
        if paces_itself(self._scope):
            return False
        idle, waited = self._terms.body_idle, self._waited + quiet
        if idle is not None and quiet > idle:
            return True
        return waited > _GRACE and self._received < self._terms.body_min_rate * waited

    def _cancel(self, refusal: Problem) -> None:
        self.refusal = refusal
        self._stop()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _watch_if_whole(self) -> None:
        if self._whole or not any(name in _LENGTHS for name, _ in self._scope["headers"]):
            self._watch = _Watch(self._receive, self.leave)


class _Watch:
    """A task that waits for the client to leave, once its body is whole."""

    def __init__(self, receive: Receive, leave: Callable[[], None]) -> None:
        self._receive, self._leave = receive, leave
        self._messages: deque[Message] = deque()
        self._heard = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    def stop(self) -> None:
        """Stop waiting for the client to leave."""
        self._task.cancel()

    async def receive(self) -> Message:
        """Return the message that was received, for an application that waits for it, too."""
        while not self._messages:
            self._heard.clear()
            await self._heard.wait()
        message = self._messages[0]
        if message["type"] != "http.disconnect":  # which is told to all who ask
            self._messages.popleft()
        return message

    async def _listen(self) -> None:
        while True:
            message = await self._receive()
            self._messages.append(message)  # an empty body, which somebody may want to see
            self._heard.set()
            if message["type"] == "http.disconnect":
                return self._leave()
