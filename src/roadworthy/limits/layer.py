"""`Layer`: hold the requests that run to their limits, and count them."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from roadworthy._internal.finish import forget_cancellation
from roadworthy.limits import observe
from roadworthy.limits.exchange import Exchange
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
    """The ASGI layer that cancels what is over its time, and turns away the surplus."""

    def __init__(self, app: ASGIApp, terms: Terms, *, owner: object = None) -> None:
        self.app, self.terms, self.owner = app, terms, owner
        self._running: set[Exchange] = set()
        self._looks = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if self.terms.at_most is not None and len(self._running) >= self.terms.at_most:
            observe.shed()
            return await _answer(ServiceUnavailable(retry_after=_SOON), scope, receive, send)
        exchange = Exchange(self.terms, scope, receive, send, owner=self.owner)
        self._running.add(exchange)
        if not self._looks:
            self._look_again()
        try:
            await self.app(scope, exchange.receive, exchange.send)
            if exchange.is_cancelled:  # too late: it has been answered
                await forget_cancellation()
        except asyncio.CancelledError:
            if not exchange.is_cancelled:
                raise
            await _answer_for(exchange, scope, receive, send)
        finally:
            self._running.discard(exchange)
            exchange.close()

    def _look_again(self) -> None:
        self._looks = True
        asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for exchange in list(self._running):
            exchange.look(now)
        self._looks = False
        if self._running:
            self._look_again()


async def _answer_for(exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer for a request that was cancelled here."""
    await forget_cancellation()
    if exchange.refusal is not None:
        late = isinstance(exchange.refusal, RequestTimeout)
        observe.cancelled("slow_body" if late else "time")
        await _answer(exchange.refusal, scope, receive, send)
    else:
        observe.cancelled("client_left")  # nobody reads an answer


async def _answer(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await respond(scope, report_on(problem, route=None))(scope, receive, send)
