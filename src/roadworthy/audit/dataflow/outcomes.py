"""What a block of code ends in: an answer, an exception, or nothing special."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roadworthy.audit.dataflow.statuses import is_http_exception, raised_status, response_status
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Flow
from roadworthy.audit.source.module import Function

__all__ = ["Outcome", "outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a block ends, and with which status where that is told."""

    kind: Literal["raise", "return", "go on"]
    status: int | None = None
    """None where it is not a constant."""
    crashes: bool = False
    """Whether it raises what is no answer of HTTP: who called may yet make one of it."""


def outcome(body: Sequence[ast.stmt], function: Function) -> Outcome:
    """Return how some statements of a function end; the last way out counts."""
    flow = Flow(list(body))
    ends = [*flow.raises, *flow.returns]
    if not ends:
        return Outcome("go on")
    last = max(ends, key=lambda event: event.node.lineno).node  # type: ignore[attr-defined]
    if isinstance(last, ast.Raise):
        crashes = not is_http_exception(names.resolve(last.exc, function))
        return Outcome("raise", _of_raise(last, function), crashes)
    assert isinstance(last, ast.Return)  # noqa: S101 - nothing else is in the list
    return Outcome("return", _of_return(last, flow, function))


def _of_raise(node: ast.Raise, function: Function) -> int | None:
    ref = names.resolve(node.exc, function)
    if is_http_exception(ref):
        return raised_status(node.exc, function)
    return 500 if ref is not None and ref.name.startswith("builtins.") else None


def _of_return(node: ast.Return, flow: Flow, function: Function) -> int | None:
    if any(_sets_status(event.node) for event in flow.assigns):
        return None
    if isinstance(node.value, ast.Call):
        found = response_status(node.value, function)
        return 200 if found is None else found or None
    return 200


def _sets_status(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(one, ast.Attribute) and one.attr == "status_code" for one in targets)
