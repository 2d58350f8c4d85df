"""Stand outside everything: what no exception handler can reach is caught here.

FastAPI answers some failures without asking (a body over the limit with a declared
length, a crash, what middleware refuses), and lets a failure after the response cut
the connection, so that the next request on it loses its answer. This layer gives each
of them the contract's shape, and every response its `X-Request-ID`.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy import _fastapi
from roadworthy.problems import body, request_ids
from roadworthy.problems.answer import Call, Contract, call_of, log_failure, was_logged
from roadworthy.problems.report import FIRST_ERROR, Report
from roadworthy.problems.translate import is_refusal, report_on, report_status

__all__ = ["Innermost", "Outermost"]

log = logging.getLogger("roadworthy.problems")

_BREAKS: Final = re.compile(rb"[\r\n\0]")
"""A line break in a header would start another one, or a response, of the client's making."""

_TERMINAL: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"text/event-stream": lambda document: b"event: error\ndata: " + document + b"\n\n",
    b"application/jsonl": lambda document: document + b"\n",
    b"application/x-ndjson": lambda document: document + b"\n",
}
"""How a stream that fails half-way says so, in formats that have a way to."""


class Outermost:
    """The ASGI layer around the whole application."""

    def __init__(
        self, app: ASGIApp, *, contract: Contract, cors: CORSMiddleware | None, debug: bool
    ) -> None:
        self.app = app
        self.contract = contract
        self.cors = cors
        self.debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request so that nothing escapes the contract."""
        if scope["type"] != "http" or call_of(scope) is not None:
            return await self.app(scope, receive, send)  # a mounted application: we are around it
        identity = request_ids.accept(scope["headers"])
        call = self.contract.open(scope, identity)
        scope[_fastapi.PREPARE] = body.strict
        token = request_ids.current.set(identity)
        exchange = _Exchange(self, scope, send, call)
        try:
            await self.app(scope, receive, exchange.send)
            await exchange.end()
        except Exception as error:  # nothing may leave: the server would cut the connection
            await exchange.fail(error)
        finally:
            request_ids.current.reset(token)


class Innermost:
    """The ASGI layer inside of all middleware: it notes what broke the body off.

    `BaseHTTPMiddleware` ends a body that failed half-way as if it were whole, and
    raises only then: by that time the client has been told that nothing is missing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and let `Outermost` know before any middleware that this failed."""
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # passed on
            if call := call_of(scope):
                call.broken = error
            raise


@dataclass(slots=True)
class _Exchange:
    """One response on its way out."""

    outermost: Outermost
    scope: Scope
    forward: Send
    call: Call
    started: bool = False
    complete: bool = False
    media_type: bytes = b""
    replaced: Report | None = field(default=None)

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif self.replaced is not None:
            await self._send_replacement()
        elif message.get("more_body", False):
            await self.forward(message)
        elif self.call.broken is None:  # else this end is not the end
            self.complete = True
            await self.forward(message)

    async def end(self) -> None:
        """Close the body of an application that has returned without doing so."""
        if self.started and not self.complete and self.call.broken is not None:
            await self._break_off(self.call.broken)

    async def _start(self, message: Message) -> None:
        self.call.broken = None
        headers = [
            (name, _BREAKS.sub(b" ", value))
            for name, value in message.get("headers", ())
            if not _BREAKS.search(name)
        ]
        self.media_type = _media_type(headers)
        status: int = message["status"]
        if status >= FIRST_ERROR and self._is_foreign(status, headers):
            self.replaced = report_status(status)
            headers = [pair for pair in headers if not pair[0].lower().startswith(b"content-")]
            headers += self.outermost.contract.headers(self.scope, self.replaced)
        headers.append((b"x-request-id", self.call.identity.encode()))
        message = {**message, "headers": headers}
        await self._forward_start(message, status)

    async def _forward_start(self, message: Message, status: int) -> None:
        self.started = True
        cors, request_headers = self.outermost.cors, Headers(scope=self.scope)
        if (
            status >= FIRST_ERROR
            and cors
            and "origin" in request_headers
            and not _has_cors(message)
        ):
            await cors.send(message, send=self.forward, request_headers=request_headers)
        else:
            await self.forward(message)

    def _is_foreign(self, status: int, headers: list[tuple[bytes, bytes]]) -> bool:
        """Tell an answer of the framework or of middleware from one of the contract."""
        if self.outermost.debug and status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return False  # Starlette's traceback page
        ours = any(name.lower() == b"x-error-code" for name, _ in headers)
        return not ours and self.media_type in (b"", b"text/plain")

    async def _send_replacement(self) -> None:
        if not self.complete and self.replaced is not None:
            self.complete = True
            document = self.outermost.contract.body(self.scope, self.replaced)
            await self.forward({"type": "http.response.body", "body": document})

    async def fail(self, error: Exception) -> None:
        """Answer for an exception that left the application, as far as one still can."""
        if isinstance(error, ClientDisconnect):
            return
        if not self.complete and not was_logged(self.scope, error) and not is_refusal(error):
            log_failure(self.scope, error)
        if not self.started:
            await self._answer(report_on(error, route=None))
        elif not self.complete:
            await self._break_off(error)
        elif not was_logged(self.scope, error) and not is_refusal(error):
            log.error("failed after the response was sent", exc_info=error)
        if _is_test_client(self.scope) and not is_refusal(error):
            raise error  # so that tests see crashes, as they do without us

    async def _answer(self, report: Report) -> None:
        document = self.outermost.contract.body(self.scope, report)
        headers = self.outermost.contract.headers(self.scope, report)
        await self.send(
            {"type": "http.response.start", "status": report.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": document})

    async def _break_off(self, error: Exception) -> None:
        """End a stream so that the client can tell: by a last event, or by a cut connection."""
        terminal = _TERMINAL.get(self.media_type)
        if terminal is None:
            raise error
        report = report_on(error, route=None)
        document = self.outermost.contract.body(self.scope, report)
        await self.forward({"type": "http.response.body", "body": terminal(document)})
        self.complete = True


def _media_type(headers: list[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.partition(b";")[0].strip().lower()
    return b""


def _has_cors(message: Message) -> bool:
    names = (name.lower() for name, _ in message["headers"])
    return b"access-control-allow-origin" in names


def _is_test_client(scope: Scope) -> bool:
    extensions: dict[str, Any] = scope.get("extensions") or {}
    return "http.response.debug" in extensions
