"""`Layer`: the ASGI layer that counts running requests and cancels the slow ones."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from roadworthy._internal.finish import forget_cancellation
from roadworthy.limits import metrics
from roadworthy.limits.limited_request import LimitedRequest
from roadworthy.limits.terms import Terms
from roadworthy.problems import Problem, RequestTimeout, ServiceUnavailable
from roadworthy.problems.answer import respond
from roadworthy.problems.translate import report_on

__all__ = ["Layer"]

_LOOK: Final = 0.05
"""Seconds between two looks at all requests: one timer for all of them costs next to nothing."""
_SOON: Final = 1
"""Seconds after which who was turned away may try again."""


class Layer:
    """The ASGI layer that cancels slow requests, and turns away too many at once."""

    def __init__(self, app: ASGIApp, terms: Terms, *, owner: object = None) -> None:
        self.app, self.terms, self.owner = app, terms, owner
        self._running: set[LimitedRequest] = set()
        self._looks = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if self.terms.at_most is not None and len(self._running) >= self.terms.at_most:
            metrics.shed()
            return await _answer(ServiceUnavailable(retry_after=_SOON), scope, receive, send)
        request = LimitedRequest(
            self.terms, scope, receive, send, owner=self.owner, running=self._running
        )
        if not self._looks:
            self._look_again()
        try:
            await self.app(scope, request.receive, request.send)
            if request.is_cancelled:  # too late: it has been answered
                await forget_cancellation()
        except asyncio.CancelledError:
            if not request.is_cancelled:
                raise
            await _answer_for(request, scope, receive, send)
        finally:
            self._running.discard(request)
            request.close()

    def _look_again(self) -> None:
        self._looks = True
        asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for request in list(self._running):
            request.look(now)
        self._looks = False
        if self._running:
            self._look_again()


async def _answer_for(request: LimitedRequest, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer for a request that was cancelled here."""
    await forget_cancellation()
    if request.refusal is not None:
        late = isinstance(request.refusal, RequestTimeout)
        metrics.cancelled("slow_body" if late else "time")
        await _answer(request.refusal, scope, receive, send)
    else:
        metrics.cancelled("client_left")  # nobody reads an answer


async def _answer(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await respond(scope, report_on(problem, route=None))(scope, receive, send)
