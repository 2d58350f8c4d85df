"""Stand outside everything: what no exception handler can reach is caught here.

FastAPI answers some failures without asking (a body over the limit with a declared
length, a crash, what middleware refuses), and lets a failure after the response cut
the connection, so that the next request on it loses its answer. This layer gives each
of them the contract's shape, and every response its `X-Request-ID`.
"""

import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from itertools import chain
from time import perf_counter
from typing import Any, Final, TypeAlias

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy import _fastapi
from roadworthy.problems import request_ids
from roadworthy.problems.answer import Contract, RequestContext, call_of, safely, tell
from roadworthy.problems.asgi.watchers import Outcome, Watcher, client_has_left
from roadworthy.problems.report import FIRST_ERROR, Report
from roadworthy.problems.translate import is_refusal, report_on, report_status
from roadworthy.problems.validation import strict_json

__all__ = ["Observer", "Outermost"]

Observer: TypeAlias = Callable[[Scope, int | None, float], None]
"""What is called after each response: its scope, its status (None where the client left
before there was one) and the seconds until its last byte was sent."""

log = logging.getLogger("roadworthy.problems")

_BREAKS: Final = re.compile(rb"[\r\n\0]")
"""A line break in a header would start another one, or a response, of the client's making."""

_BODY: Final = frozenset(
    {"http.response.body", "http.response.pathsend", "http.response.zerocopysend"}
)

_WEBSOCKET: Final = "websocket."
_REFUSAL: Final = "websocket.http.response."
"""What begins the messages of an answer to a handshake that is refused."""

_NOTICEABLE: Final = 0.05
"""Seconds after which it is worth asking whether the client is still there."""

_TERMINAL: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"text/event-stream": lambda document: b"event: error\ndata: " + document + b"\n\n",
    b"application/jsonl": lambda document: document + b"\n",
    b"application/x-ndjson": lambda document: document + b"\n",
}
"""How a stream that fails half-way says so, in formats that have a way to."""


class Outermost:
    """The ASGI layer around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        contract: Contract,
        settle: Callable[[], None],
        cors_for: Callable[[Scope], CORSMiddleware | None],
        debug: bool,
        observe: Observer | None,
        watchers: tuple[Watcher, ...] = (),
    ) -> None:
        self.app = app
        self.contract = contract
        self.settle = settle
        self.cors_for = cors_for
        self.debug = debug
        self.observe = observe
        self.watchers = watchers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request so that nothing escapes the contract."""
        if scope["type"] != "http" or call_of(scope) is not None:
            return await self._serve_other(scope, receive, send)
        traced = scope.get(_fastapi.TELEMETRY) is not None
        identity = request_ids.accept(scope["headers"], traced=traced)
        exchange = _Exchange(self, scope, receive, send, identity)
        exchange.open(scope)
        scope[_fastapi.PREPARE] = strict_json.strict
        token = request_ids.current.set(identity)
        for watcher in self.watchers:
            safely(watcher.began, scope)
        try:
            await self.app(scope, receive, exchange.send)
            if not exchange.complete:
                await exchange.end()
        except Exception as error:  # nothing may leave: the server would cut the connection
            await exchange.fail(error)
        finally:
            if self.observe is not None:
                status = None if exchange.left else exchange.status
                safely(self.observe, scope, status, exchange.seconds())
            if self.watchers:
                outcome = exchange.outcome()
                for watcher in self.watchers:
                    safely(watcher.ended, scope, outcome)
            request_ids.current.reset(token)
            exchange.close(scope)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if call_of(scope) is not None:
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
                self.settle()  # what has been mounted meanwhile
            await send(message)

        await self.app(scope, receive, send_settled)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a refusal be one of the contract, with an id of its own."""
        # A handshake that is closed is a 403 of the server's, which says nothing. A test
        # looks for the code of the close, which no client of a server ever sees.
        untold = _REFUSAL[:-1] in (scope.get("extensions") or {}) and not _is_test_client(scope)

        async def send_refusal(message: Message) -> None:
            await send({**message, "type": _WEBSOCKET + message["type"]})

        async def send_any(message: Message) -> None:
            nonlocal untold
            kind = message["type"]
            if kind.startswith(_REFUSAL):
                await exchange.send({**message, "type": kind.removeprefix(_WEBSOCKET)})
            elif untold and kind == "websocket.close":
                await exchange.refuse()
            else:
                await send(message)
            untold = False

        identity = request_ids.accept(scope["headers"])
        exchange = _Exchange(self, scope, receive, send_refusal, identity)
        exchange.open(scope)
        token = request_ids.current.set(identity)
        try:
            await self.app(scope, receive, send_any)
        finally:
            request_ids.current.reset(token)
            exchange.close(scope)


class _Exchange(RequestContext):
    """One response on its way out. Every request pays for this: keep it lean."""

    __slots__ = (
        "began",
        "complete",
        "ended",
        "failure",
        "forward",
        "headers",
        "left",
        "outermost",
        "receive",
        "replaced",
        "scope",
        "status",
    )

    def __init__(
        self, outermost: Outermost, scope: Scope, receive: Receive, forward: Send, identity: str
    ) -> None:
        super().__init__(outermost.contract, identity, scope)
        self.outermost = outermost
        self.scope = scope
        self.receive = receive
        self.forward = forward
        self.headers: list[tuple[bytes, bytes]] = []
        self.status: int | None = None
        self.replaced: bytes | None = None
        self.complete = False
        self.failure: Exception | None = None
        self.left = False
        self.began = perf_counter()
        self.ended = 0.0

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, as the contract wants it."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif kind not in _BODY:
            await self.forward(message)
        elif self.replaced is not None:
            await self._send_replacement(self.replaced)
        elif message.get("more_body", False):
            await self.forward(message)
        elif self.broken is None:  # else this end is not the end
            self._finish()
            await self.forward(message)

    def _finish(self) -> None:
        self.complete = True
        self.ended = perf_counter()
        if self.ended - self.began > _NOTICEABLE and self.scope["type"] == "http":
            self.left = client_has_left(self.scope, self.receive)

    def seconds(self) -> float:
        """Return how long it took, until now where it is not over."""
        return (self.ended or perf_counter()) - self.began

    def outcome(self) -> Outcome:
        """Return how it ended."""
        gone = self.left or (not self.complete and self.failure is None)
        return Outcome(self.status, self.seconds(), self._error_code(), self.failure, gone)

    def _error_code(self) -> str | None:
        if self.status is not None and self.status >= FIRST_ERROR:
            for name, value in self.headers:
                if name.lower() == b"x-error-code":
                    return value.decode("latin-1")
        return None

    async def end(self) -> None:
        """Close the body of an application that has returned without doing so."""
        if self.status is not None and self.broken is not None:
            await self._break_off(self.broken)

    async def _start(self, message: Message) -> None:
        status = self.status = message["status"]
        self.broken = None
        headers = self.headers = _single_lines(message.get("headers", ()))
        if status >= FIRST_ERROR:
            await self._start_error(message, status)
        else:
            headers.append((b"x-request-id", self.identity.encode()))
            await self.forward({**message, "headers": headers})

    async def _start_error(self, message: Message, status: int) -> None:
        if self._is_foreign(status):
            kept = [pair for pair in self.headers if not pair[0].lower().startswith(b"content-")]
            headers, self.replaced = self._rendered(report_status(status))
            self.headers = kept + headers
        self.headers.append((b"x-request-id", self.identity.encode()))
        message = {**message, "headers": self.headers}
        asked, cors = Headers(scope=self.scope), None
        if "origin" in asked and not self._has(b"access-control-allow-origin"):
            cors = self.outermost.cors_for(self.inner or self.scope)
        if cors is not None:
            await cors.send(message, send=self.forward, request_headers=asked)
        else:
            await self.forward(message)

    def _is_foreign(self, status: int) -> bool:
        """Tell an answer of the framework or of middleware from one of the contract."""
        if self.outermost.debug and status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return False  # Starlette's traceback page
        if self.own == status:
            return False  # a route or a handler of the user's says so, and means it
        return not self._has(b"x-error-code") and self._media_type() in (b"", b"text/plain")

    def _has(self, header: bytes) -> bool:
        return any(name.lower() == header for name, _ in self.headers)

    def _media_type(self) -> bytes:
        for name, value in self.headers:
            if name.lower() == b"content-type":
                return value.partition(b";")[0].strip().lower()
        return b""

    def _rendered(self, report: Report) -> tuple[list[tuple[bytes, bytes]], bytes]:
        document = self.contract.body(self.scope, report)
        length = (b"content-length", str(len(document)).encode())
        return [*self.contract.headers(self.scope, report), length], document

    async def _send_replacement(self, document: bytes) -> None:
        if not self.complete:
            self._finish()
            await self.forward({"type": "http.response.body", "body": document})

    async def fail(self, error: Exception) -> None:
        """Answer for an exception that left the application, as far as one still can."""
        if isinstance(error, ClientDisconnect):
            self.left = True
            return
        late, crash = self.status is not None, not is_refusal(error)
        if late:
            self.failure = error
        if late or crash:
            tell(self.scope, error, late=self.complete)
        if not late:
            await self._answer(self._report_on(error))
        elif not self.complete:
            await self._break_off(error)
        if crash and _is_test_client(self.scope):
            raise error  # so that tests see crashes, as they do without us

    async def refuse(self) -> None:
        """Answer as servers do to a handshake that the application closes, with an id."""
        await self._answer(report_status(HTTPStatus.FORBIDDEN))

    def _report_on(self, error: Exception) -> Report:
        return report_on(error, route=None, tell_5xx=self.contract.tell_5xx)

    async def _answer(self, report: Report) -> None:
        headers, document = self._rendered(report)
        await self.send(
            {"type": "http.response.start", "status": report.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": document})

    async def _break_off(self, error: Exception) -> None:
        """End a stream so that the client can tell: by a last event, or by a cut."""
        self.failure = error
        terminal = _TERMINAL.get(self._media_type())
        if terminal is None:
            raise error
        document = self.contract.body(self.scope, self._report_on(error))
        await self.forward({"type": "http.response.body", "body": terminal(document)})
        self._finish()


def _single_lines(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    pairs = list(headers)
    text = b"".join(chain.from_iterable(pairs))
    if text.translate(None, b"\r\n\0") == text:
        return pairs  # nearly always, so that each request pays for one look only
    return [(n, _BREAKS.sub(b" ", value)) for n, value in pairs if not _BREAKS.search(n)]


def _is_test_client(scope: Scope) -> bool:
    extensions: dict[str, Any] = scope.get("extensions") or {}
    client: Any = scope.get("client") or ("",)
    return "http.response.debug" in extensions or client[0] == "testclient"
