"""`OutgoingResponse`: one response on its way out, held to the contract.

    NOT_STARTED ──start──> STREAMING ──last body message──> ENDED
         └──start of an error that is not ours──> REPLACING ──> REPLACED

REPLACING waits for the first body message of the application, and sends our document instead
of it; in REPLACED, what else the application sends of its body is dropped.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from time import perf_counter
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from roadworthy.problems.answer import log_failure
from roadworthy.problems.asgi.watchers import Outcome, client_has_left
from roadworthy.problems.contract import Contract, RequestContext
from roadworthy.problems.report import FIRST_ERROR, Report
from roadworthy.problems.translate import is_refusal, report_on, report_status

__all__ = ["OutgoingResponse", "Rules", "is_test_client"]

# Plain numbers: each request compares them, and an Enum would cost it more.
_NOT_STARTED, _STREAMING, _REPLACING, _REPLACED, _ENDED = range(5)

_BREAKS: Final = re.compile(rb"[\r\n\0]")
"""A line break in a header would start another one, or a response, of the client's making."""

_BODY: Final = frozenset(
    {"http.response.body", "http.response.pathsend", "http.response.zerocopysend"}
)

_NOTICEABLE: Final = 0.05
"""Seconds after which it is worth asking whether the client is still there."""

_ERROR_EVENT: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"text/event-stream": lambda document: b"event: error\ndata: " + document + b"\n\n",
    b"application/jsonl": lambda document: document + b"\n",
    b"application/x-ndjson": lambda document: document + b"\n",
}
"""The last event of a stream that fails half-way, in formats that have such a thing."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one application that all its responses follow."""

    contract: Contract
    cors_for: Callable[[Scope], CORSMiddleware | None]
    """Return the middleware that adds CORS headers to an error, if there is any."""
    debug: bool


class OutgoingResponse(RequestContext):
    """One response on its way out. Every request pays for this: keep it lean.

    Args:
        rules: The rules of the application.
        scope: The ASGI scope of the request.
        receive: ASGI's `receive`, to ask whether the client has left.
        forward: ASGI's `send`, or a function that takes the same messages.
        identity: The request id, sent as `X-Request-ID`.
    """

    __slots__ = (
        "_document",
        "_ended_at",
        "_failure",
        "_forward",
        "_headers",
        "_receive",
        "_rules",
        "_scope",
        "_started_at",
        "_state",
        "client_left",
        "status",
    )

    def __init__(
        self, rules: Rules, scope: Scope, receive: Receive, forward: Send, identity: str
    ) -> None:
        # Not by `super()`: each request would pay for that call.
        self.contract, self.identity = rules.contract, identity
        self.root_path, self.path = scope.get("root_path", ""), scope["path"]
        self.logged = self.broken = self.own = self.reason = self.inner = None
        self._rules = rules
        self._scope = scope
        self._receive = receive
        self._forward = forward
        self._headers: list[tuple[bytes, bytes]] = []
        self._document = b""
        """Our document, in place of the application's body."""
        self._failure: Exception | None = None
        self._state = _NOT_STARTED
        self._started_at = perf_counter()
        self._ended_at = 0.0
        self.status: int | None = None
        self.client_left = False

    @property
    def went_wrong(self) -> bool:
        """Return whether this is an error, or something failed that no client was told."""
        status = self.status
        if self.logged is not None or self._failure is not None:
            return True
        return status is None or status >= FIRST_ERROR

    @property
    def _is_over(self) -> bool:
        return self._state >= _REPLACED

    async def send(self, message: Message) -> None:
        """Send a message of the application on, as the contract wants it."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif kind not in _BODY:
            await self._forward(message)
        elif self._state == _REPLACING:
            await self._send_document()
        elif self._state == _REPLACED:
            return  # the application's own body
        elif message.get("more_body", False):
            await self._forward(message)
        elif self.broken is None:  # else middleware ends a body that is not whole
            self._end(_ENDED)
            await self._forward(message)

    async def finish(self) -> None:
        """Tell the client of a body that broke off, once the application has returned."""
        if self._state in (_STREAMING, _REPLACING) and self.broken is not None:
            await self._break_off(self.broken)

    async def fail(self, error: Exception) -> None:
        """Answer for an exception that left the application, as far as one still can."""
        if isinstance(error, ClientDisconnect):
            self.client_left = True
            return
        is_late, is_crash = self._state != _NOT_STARTED, not is_refusal(error)
        if is_late:
            self._failure = error
        if is_late or is_crash:
            log_failure(self._scope, error, late=self._is_over)
        if not is_late:
            await self._answer(self._report_on(error))
        elif not self._is_over:
            await self._break_off(error)
        if is_crash and is_test_client(self._scope):
            raise error  # so that tests see crashes, as they do without us

    async def refuse(self) -> None:
        """Answer 403 with an id, as servers do if the application closes a handshake."""
        await self._answer(report_status(HTTPStatus.FORBIDDEN))

    def seconds(self) -> float:
        """Return the seconds from the start to the end, until now where it is not over."""
        return (self._ended_at or perf_counter()) - self._started_at

    def outcome(self) -> Outcome:
        """Return the outcome of the request, for watchers."""
        left = self.client_left or (self._state < _REPLACED and self._failure is None)
        crash = self.logged[0] if self.logged else None
        code, reason = self._error_code(), self.reason
        return Outcome(self.status, self.seconds(), code, self._failure, left, crash, reason)

    def _error_code(self) -> str | None:
        if self.status is not None and self.status >= FIRST_ERROR:
            for name, value in self._headers:
                if name.lower() == b"x-error-code":
                    return value.decode("latin-1")
        return None

    async def _start(self, message: Message) -> None:
        status = self.status = message["status"]
        self._state, self.broken = _STREAMING, None
        headers = self._headers = _single_lines(message.get("headers", ()))
        if status >= FIRST_ERROR:
            await self._start_error(message, status)
        else:
            headers.append((b"x-request-id", self.identity.encode()))
            await self._forward({**message, "headers": headers})

    async def _start_error(self, message: Message, status: int) -> None:
        if self._is_foreign(status):
            kept = [pair for pair in self._headers if not pair[0].lower().startswith(b"content-")]
            headers, self._document = self._rendered(report_status(status))
            self._headers, self._state = kept + headers, _REPLACING
        self._headers.append((b"x-request-id", self.identity.encode()))
        message = {**message, "headers": self._headers}
        asked, cors = Headers(scope=self._scope), None
        if "origin" in asked and not self._has(b"access-control-allow-origin"):
            cors = self._rules.cors_for(self.inner or self._scope)
        if cors is not None:
            await cors.send(message, send=self._forward, request_headers=asked)
        else:
            await self._forward(message)

    def _is_foreign(self, status: int) -> bool:
        """Return whether an error is of the framework or of middleware."""
        if self._rules.debug and status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return False  # Starlette's traceback page
        if self.own == status:
            return False  # a route or a handler of the user's says so, and means it
        return not self._has(b"x-error-code") and self._media_type() in (b"", b"text/plain")

    def _has(self, header: bytes) -> bool:
        return any(name.lower() == header for name, _ in self._headers)

    def _media_type(self) -> bytes:
        for name, value in self._headers:
            if name.lower() == b"content-type":
                return value.partition(b";")[0].strip().lower()
        return b""

    def _rendered(self, report: Report) -> tuple[list[tuple[bytes, bytes]], bytes]:
        document = self.contract.body(self._scope, report)
        length = (b"content-length", str(len(document)).encode())
        return [*self.contract.headers(self._scope, report), length], document

    async def _send_document(self) -> None:
        self._end(_REPLACED)
        await self._forward({"type": "http.response.body", "body": self._document})

    def _end(self, state: int) -> None:
        self._state = state
        self._ended_at = perf_counter()
        if self._ended_at - self._started_at > _NOTICEABLE and self._scope["type"] == "http":
            self.client_left = client_has_left(self._scope, self._receive)

    def _report_on(self, error: Exception) -> Report:
        return report_on(error, route=None, tell_5xx=self.contract.tell_5xx)

    async def _answer(self, report: Report) -> None:
        headers, document = self._rendered(report)
        await self.send(
            {"type": "http.response.start", "status": report.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": document})

    async def _break_off(self, error: Exception) -> None:
        """End a body that is not whole: by a last event, or by closing the connection."""
        self._failure = error
        event = _ERROR_EVENT.get(self._media_type())
        if event is None:
            raise error
        document = self.contract.body(self._scope, self._report_on(error))
        await self._forward({"type": "http.response.body", "body": event(document)})
        self._end(_ENDED)


def _single_lines(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    pairs = list(headers)
    text = b"".join(chain.from_iterable(pairs))
    if text.translate(None, b"\r\n\0") == text:
        return pairs  # nearly always, so that each request pays for one look only
    return [(n, _BREAKS.sub(b" ", value)) for n, value in pairs if not _BREAKS.search(n)]


def is_test_client(scope: Scope) -> bool:
    """Return whether a request comes from Starlette's `TestClient`."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    client: Any = scope.get("client") or ("",)
    return "http.response.debug" in extensions or client[0] == "testclient"
