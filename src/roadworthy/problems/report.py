"""`Report`: one failure as a client will read it, in either of the two spellings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic_core import to_json, to_jsonable_python

from roadworthy.problems.problem import Problem
from roadworthy.problems.spellings.accept import preferred

__all__ = ["ENVELOPE", "FIRST_ERROR", "PROBLEM_JSON", "Report", "Spelling", "spelling_for"]

Spelling: TypeAlias = Literal["envelope", "problem+json"]
"""The two ways to write one error: ours, and RFC 9457's."""

ENVELOPE = "application/json"
"""The media type of the envelope."""

PROBLEM_JSON = "application/problem+json"
"""The media type of RFC 9457 §3."""

_SPELLINGS: Final[dict[str | None, Spelling]] = {
    ENVELOPE: "envelope",
    PROBLEM_JSON: "problem+json",
}

FIRST_ERROR = 400
"""The first status that is an error (RFC 9110 §15.5)."""

MAX_PATH = 500
"""Characters of the path that an error repeats."""


@dataclass(frozen=True, slots=True)
class Report:
    """The facts of one failure: nothing in it is the client's own text, or a cause."""

    status: int
    code: str
    title: str
    message: str
    details: list[Any] = field(default_factory=list[Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    page: str = ""
    """The code whose page tells of it, where that is not its own."""

    @classmethod
    def of(cls, problem: Problem) -> "Report":
        """Return what a problem says of itself."""
        return cls(
            status=problem.status,
            code=problem.code,
            title=problem.title,
            message=problem.detail,
            details=problem.details(),
            headers=problem.headers or {},
        )

    def body(self, spelling: Spelling, *, path: str, request_id: str, types: str) -> bytes:
        """Render the document: total, whatever a member holds."""
        path = path[:MAX_PATH]
        if spelling == "envelope":
            return _dump({"error": self._envelope(path, request_id)})
        return _dump(self._problem_json(path, request_id, types))

    def _envelope(self, path: str, request_id: str) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "path": path,
            "request_id": request_id,
            "details": self.details,
        }

    def _problem_json(self, path: str, request_id: str, types: str) -> dict[str, Any]:
        # RFC 9457 §3.1; the members after `instance` are extensions (§3.2).
        return {
            "type": f"{types}/{self.page or self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
            "instance": path,
            "code": self.code,
            "request_id": request_id,
            "errors": self.details,
        }


def spelling_for(accept: str | None, *, default: Spelling) -> Spelling:
    """Return the spelling that the `Accept` header prefers; a draw is the default."""
    chosen = preferred(accept, ENVELOPE, PROBLEM_JSON) if accept else None
    return _SPELLINGS.get(chosen, default)


def _dump(document: Any) -> bytes:
    try:
        return to_json(document, inf_nan_mode="null")
    except Exception:  # a member that is no JSON must not turn an error into another
        return to_json(_storable(document))


def _storable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case float():
            return value if isfinite(value) else None
        case None | int():
            return value
        case Mapping():
            return _storable_object(cast("Mapping[Any, Any]", value))
        case list() | tuple() | set() | frozenset():
            return [_storable(child) for child in cast("Iterable[Any]", value)]
        case _:
            return _plain(value)


def _storable_object(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {_storable(str(name)): _storable(child) for name, child in value.items()}


def _plain(value: object) -> Any:
    try:
        return to_jsonable_python(value, inf_nan_mode="null")
    except Exception:  # whatever it is, its type's name is all that can be told
        return type(value).__name__
