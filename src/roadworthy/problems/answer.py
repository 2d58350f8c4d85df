"""Send a `Report`: an application's contract, and the handlers that speak it."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy.problems import request_ids
from roadworthy.problems.allow_header import complete_allow
from roadworthy.problems.report import (
    ENVELOPE,
    FIRST_ERROR,
    PROBLEM_JSON,
    Report,
    Spelling,
    spelling_for,
)
from roadworthy.problems.translate import is_refusal, report_on

__all__ = [
    "CAME",
    "Contract",
    "OnFailure",
    "RequestContext",
    "call_of",
    "handle",
    "respond",
    "safely",
    "tell",
]

OnFailure: TypeAlias = Callable[[BaseException], object]
"""What hears of each crash, and of each failure after the response, once."""

log = logging.getLogger("roadworthy.problems")

CAME: Final = "roadworthy.body_came"
"""Scope key: the body held a document, be it `null`."""

_CALL: Final = "roadworthy.call"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"content-type", "content-length", "x-error-code", "x-request-id"})


@dataclass(frozen=True, slots=True)
class Contract:
    """How one application spells its errors."""

    default: Spelling
    types: str
    """The path under which each problem type has its page."""
    tell_5xx: bool = False
    """Whether the texts of an `HTTPException` of 500 and above are for clients, too."""
    on_failure: OnFailure | None = None

    def spelling(self, scope: Scope) -> Spelling:
        """Return the spelling that this client prefers."""
        accept = [value for name, value in scope["headers"] if name == b"accept"]
        return spelling_for(b",".join(accept).decode("latin-1"), default=self.default)

    def body(self, scope: Scope, report: Report) -> bytes:
        """Render the body."""
        call: RequestContext = scope[_CALL]
        root = _root(call.root_path)
        return report.body(
            self.spelling(scope),
            path=_whole_path(root, call.path),
            request_id=call.identity,
            types=root + self.types,
        )

    def headers(self, scope: Scope, report: Report) -> list[tuple[bytes, bytes]]:
        """Return the headers, each a single line whatever a value holds."""
        media_type = ENVELOPE if self.spelling(scope) == "envelope" else PROBLEM_JSON
        own = [
            (name.lower().encode(), str(value).encode("latin-1", "replace"))
            for name, value in report.headers.items()
            if _TOKEN.fullmatch(name) and name.lower() not in _OURS
        ]
        return [
            (b"content-type", media_type.encode()),
            (b"x-error-code", report.code.encode("ascii", "replace")),
            (b"vary", b"Accept"),
            *own,
        ]


class RequestContext:
    """One request under a contract, shared by all layers of the application."""

    __slots__ = ("broken", "contract", "identity", "inner", "own", "path", "root_path", "told")

    def __init__(self, contract: Contract, identity: str, scope: Scope) -> None:
        self.contract, self.identity = contract, identity
        self.root_path: str = scope.get("root_path", "")
        self.path: str = scope["path"]
        self.told: list[BaseException] | None = None
        self.broken: Exception | None = None
        """What cut the body short, seen from inside of every middleware."""
        self.own: int | None = None
        """The status of an answer that a route or a handler of the application gave."""
        self.inner: Scope | None = None
        """The scope inside of every middleware, some of which make another."""

    def open(self, scope: Scope) -> "RequestContext":
        """Let everything that serves this request find it."""
        scope[_CALL] = self
        return self

    def close(self, scope: Scope) -> None:
        """Let go of the scope: a cycle would leave each request to the garbage collector."""
        del scope[_CALL]
        self.inner = None


async def handle(request: Request, error: Exception) -> Response:
    """Answer for any exception: the handler that `install` registers for all of them."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it
    if isinstance(error, HTTPException) and error.status_code < FIRST_ERROR:
        return Response(status_code=error.status_code, headers=error.headers)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        complete_allow(request.scope, error)
    if not is_refusal(error):
        tell(request.scope, error)
    report = report_on(
        error,
        route=_fastapi.route_of(request.scope),
        came=CAME in request.scope,
        tell_5xx=_call_of(request.scope).contract.tell_5xx,
    )
    return respond(request.scope, report)


def respond(scope: Scope, report: Report) -> Response:
    """Make the response of a report."""
    contract = _call_of(scope).contract
    response = Response(contract.body(scope, report), status_code=report.status)
    response.raw_headers += contract.headers(scope, report)
    return response


def tell(scope: Scope, error: BaseException, *, late: bool = False) -> None:
    """Tell the log, and who listens, once of a failure that no client is told of.

    Whatever the layers between made of it: the exception is the one that was raised first.
    """
    call, error = _call_of(scope), _fastapi.original_of(error)
    if call.told is None:
        call.told = []
    if any(told is error for told in call.told):
        return
    call.told.append(error)
    _log(scope, error, late=late)
    if call.contract.on_failure is not None:
        safely(call.contract.on_failure, error)


def _log(scope: Scope, error: BaseException, *, late: bool) -> None:
    if late:
        log.error("failed after the response was sent", exc_info=error)
        return
    route: Any = _fastapi.route_of(scope)
    place = getattr(route, "path_format", None) or repr(scope["path"])
    log.error("%s %s failed", scope.get("method", "WEBSOCKET"), place, exc_info=error)


def safely(hear: Callable[..., object], *what: Any) -> None:
    """Call an observer; what it raises is logged."""
    try:
        hear(*what)
    except Exception as error:  # whoever watches must not change what is watched
        log.exception("an observer failed", exc_info=error)


def call_of(scope: Scope) -> RequestContext | None:
    """Return what is known of the request, None where it is under no contract."""
    call: RequestContext | None = scope.get(_CALL)
    return call


def _call_of(scope: Scope) -> RequestContext:
    # Whoever shares our handlers need not be under a contract.
    identity = request_ids.request_id() or "-"
    return call_of(scope) or RequestContext(_BARE, identity, scope).open(scope)


def _root(root: str) -> str:
    """Return the path that the whole application is served under."""
    return "/" + inner if (inner := root.strip("/")) else ""


def _whole_path(root: str, path: str) -> str:
    """Return the path as a client sees it, with the root path left in or put back."""
    return path if path == root or path.startswith(root + "/") else root + path


_BARE = Contract(default="envelope", types="/problems")
