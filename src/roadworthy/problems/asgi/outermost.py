"""`Outermost`: the ASGI layer that catches what no exception handler can reach.

FastAPI answers some failures without asking (a body over the limit with a declared
length, a crash, what middleware refuses), and lets a failure after the response cut
the connection, so that the next request on it loses its answer. This layer gives each
of them the contract's shape, and every response its `X-Request-ID`.
"""

from collections.abc import Awaitable, Callable, Container
from contextvars import Token
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy import _fastapi
from roadworthy.problems import request_ids
from roadworthy.problems.answer import call_observer
from roadworthy.problems.asgi.lingering_close import Linger, LingeringClose, has_body
from roadworthy.problems.asgi.outgoing_response import OutgoingResponse, Rules, is_test_client
from roadworthy.problems.asgi.watchers import Watcher, wants_errors_only
from roadworthy.problems.contract import CONTEXT
from roadworthy.problems.validation import strict_json

__all__ = ["Observer", "Outermost"]

Observer: TypeAlias = Callable[[Scope, int | None, float], None]
"""What is called after each response: its scope, its status (None where the client left
before there was one) and the seconds until its last byte was sent."""

_WEBSOCKET: Final = "websocket."
_REFUSAL: Final = "websocket.http.response."
"""The first part of the message types that answer a handshake with a refusal."""


class Outermost:
    """The ASGI layer around the whole application.

    Args:
        app: The application with all its middleware.
        rules: The rules that every response follows.
        settle: Called at start: it puts routes that were added meanwhile under the contract.
        observe: Called after each response.
        watchers: Called when a request begins, and when it is over.
        linger: The limits of reading on after a refusal that did not wait for the body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rules: Rules,
        settle: Callable[[], None],
        observe: Observer | None,
        watchers: tuple[Watcher, ...] = (),
        linger: Linger | None = None,
    ) -> None:
        self.app = app
        self.lingering = LingeringClose(self._serve_http, linger)
        self.rules = rules
        self.settle = settle
        self.observe = observe
        self.watchers = tuple(each for each in watchers if not wants_errors_only(each))
        self.of_errors = tuple(each for each in watchers if wants_errors_only(each))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request so that nothing escapes the contract."""
        # Each request pays for what is here: nothing is awaited, and headers are looked at once.
        if scope["type"] != "http" or CONTEXT in scope:
            return self._serve_other(scope, receive, send)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if has_body(headers):
            return self.lingering(scope, receive, send)
        return self._serve_http(scope, receive, send, headers)

    async def _serve_http(
        self, scope: Scope, receive: Receive, send: Send, names: Container[bytes] | None = None
    ) -> None:
        headers = scope["headers"]
        traced = scope.get(_fastapi.TELEMETRY) is not None
        identity = request_ids.accept(headers, traced=traced, names=names or dict(headers))
        response = OutgoingResponse(self.rules, scope, receive, send, identity)
        token = self._begin(scope, response)
        try:
            await self.app(scope, receive, response.send)
            await response.finish()
        except Exception as error:  # nothing may leave: the server would cut the connection
            await response.fail(error)
        finally:
            self._end(scope, response, token)

    def _begin(self, scope: Scope, response: OutgoingResponse) -> Token[str | None]:
        scope[CONTEXT] = response
        scope[_fastapi.PREPARE] = strict_json.strict
        token = request_ids.current.set(response.identity)
        for watcher in self.watchers:
            call_observer(watcher.began, scope)
        return token

    def _end(self, scope: Scope, response: OutgoingResponse, token: Token[str | None]) -> None:
        if self.observe is not None:
            status = None if response.client_left else response.status
            call_observer(self.observe, scope, status, response.seconds())
        of_errors = self.of_errors if self.of_errors and response.went_wrong else ()
        if self.watchers or of_errors:
            outcome = response.outcome()
            for watcher in (*self.watchers, *of_errors):
                call_observer(watcher.ended, scope, outcome)
        request_ids.current.reset(token)
        # A cycle would keep each request for the garbage collector.
        del scope[CONTEXT]
        response.inner = None

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if CONTEXT in scope:
            await self.app(scope, receive, send)  # a mounted application: we are around it
        elif scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._serve_lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_settled(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.settle()
            await send(message)

        await self.app(scope, receive, send_settled)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket, whose refusal is one of the contract and has an id."""
        # A handshake that is closed is a 403 of the server's, without a body. A test looks
        # for the code of the close, which no client of a server ever sees.
        may_refuse = _REFUSAL[:-1] in (scope.get("extensions") or {}) and not is_test_client(scope)

        async def send_refusal(message: Message) -> None:
            await send({**message, "type": _WEBSOCKET + message["type"]})

        async def send_any(message: Message) -> None:
            nonlocal may_refuse
            kind = message["type"]
            if kind.startswith(_REFUSAL):
                await response.send({**message, "type": kind.removeprefix(_WEBSOCKET)})
            elif may_refuse and kind == "websocket.close":
                await response.refuse()
            else:
                await send(message)
            may_refuse = False

        identity = request_ids.accept(scope["headers"])
        response = OutgoingResponse(self.rules, scope, receive, send_refusal, identity)
        scope[CONTEXT] = response
        token = request_ids.current.set(identity)
        try:
            await self.app(scope, receive, send_any)
        finally:
            request_ids.current.reset(token)
            del scope[CONTEXT]
            response.inner = None
