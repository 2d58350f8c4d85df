"""`Contract`: how an application writes errors; `RequestContext`: one request."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.types import Scope

from roadworthy.problems import request_ids
from roadworthy.problems.report import Report
from roadworthy.problems.spellings import envelope, problem_json
from roadworthy.problems.spellings.choice import Spelling, preferred_spelling

__all__ = [
    "CONTEXT",
    "Contract",
    "OnFailure",
    "RequestContext",
    "context_of",
    "context_or_default",
]

OnFailure: TypeAlias = Callable[[BaseException], object]
"""A function that is called once for each crash, and for each failure after the response."""

CONTEXT: Final = "roadworthy.request_context"
"""Scope key of the `RequestContext`."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"content-type", "content-length", "x-error-code", "x-request-id"})


@dataclass(frozen=True, slots=True)
class Contract:
    """How one application writes its errors."""

    default: Spelling
    types: str
    """The path under which each problem type has its page."""
    tell_5xx: bool = False
    """Whether the texts of an `HTTPException` of 500 and above are for clients, too."""
    on_failure: OnFailure | None = None

    def spelling(self, scope: Scope) -> Spelling:
        """Return the spelling that the client prefers."""
        accept = [value for name, value in scope["headers"] if name == b"accept"]
        return preferred_spelling(b",".join(accept).decode("latin-1"), default=self.default)

    def body(self, scope: Scope, report: Report) -> bytes:
        """Return the document of a report, in the spelling that the client prefers."""
        context: RequestContext = scope[CONTEXT]
        root = _normalized_root(context.root_path)
        path = _whole_path(root, context.path)
        if self.spelling(scope) == "envelope":
            return envelope.document(report, path=path, request_id=context.identity)
        types = root + self.types
        return problem_json.document(report, path=path, request_id=context.identity, types=types)

    def headers(self, scope: Scope, report: Report) -> list[tuple[bytes, bytes]]:
        """Return the headers of a report, each a single line whatever a value holds."""
        is_envelope = self.spelling(scope) == "envelope"
        media_type = envelope.MEDIA_TYPE if is_envelope else problem_json.MEDIA_TYPE
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
    """One request under a contract, shared by all layers of the application.

    Args:
        contract: The contract of the outermost application.
        identity: The request id.
        scope: The ASGI scope, as the outermost layer received it.
    """

    __slots__ = (
        *("broken", "contract", "identity", "inner", "logged", "own"),
        *("path", "reason", "root_path"),
    )

    def __init__(self, contract: Contract, identity: str, scope: Scope) -> None:
        self.contract, self.identity = contract, identity
        self.root_path: str = scope.get("root_path", "")
        self.path: str = scope["path"]
        self.logged: list[BaseException] | None = None
        """The failures that the log has already."""
        self.broken: Exception | None = None
        """The exception that cut the body short, seen inside of every middleware."""
        self.own: int | None = None
        """The status of an answer that a route or a handler of the application gave."""
        self.reason: str | None = None
        """Which case of an error it was, for the log of problems."""
        self.inner: Scope | None = None
        """The scope inside of every middleware, some of which make another."""


def context_of(scope: Scope) -> RequestContext | None:
    """Return the context of a request, None where it is under no contract."""
    context: RequestContext | None = scope.get(CONTEXT)
    return context


def context_or_default(scope: Scope) -> RequestContext:
    """Return the context of a request, a new default one where it has none.

    An application without the contract may use our handlers all the same.
    """
    if CONTEXT not in scope:
        scope[CONTEXT] = RequestContext(_DEFAULT, request_ids.request_id() or "-", scope)
    context: RequestContext = scope[CONTEXT]
    return context


def _normalized_root(root: str) -> str:
    """Return the path that the whole application is served under."""
    return "/" + inner if (inner := root.strip("/")) else ""


def _whole_path(root: str, path: str) -> str:
    """Return the path as a client sees it, with the root path left in or put back."""
    return path if path == root or path.startswith(root + "/") else root + path


_DEFAULT = Contract(default="envelope", types="/problems")
