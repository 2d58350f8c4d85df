"""Where the text of a caught exception goes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit import names
from roadworthy.audit.flow import Flow
from roadworthy.audit.module import Function
from roadworthy.audit.routes import route_of
from roadworthy.audit.statuses import is_http_exception, response_status

__all__ = ["Leak", "Telling", "leaks", "tells"]

_TEXTS: Final = frozenset({"args", "message", "msg", "orig", "statement", "reason", "strerror"})
"""Attributes of exceptions that hold their text."""


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """The text of an exception on its way to a client."""

    node: ast.AST
    how: str
    """In which part of the answer."""
    certain: bool
    """Whether it leaves at once, rather than by way of a name that is answered later."""
    literal: bool = False
    """Whether it is `detail=str(error)`, word for word."""


@dataclass(slots=True)
class Telling:
    """Which names hold the text of an exception."""

    name: str | None
    function: Function
    held: set[str] = field(default_factory=set[str])

    def tells(self, node: ast.AST | None) -> bool:
        """Return whether an expression holds the text of the exception."""
        return node is not None and self._tells(node)

    def _tells(self, node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name):
                return name == self.name or name in self.held
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == self.name:
                return attr in _TEXTS
            case ast.Call():
                return self._call(node)
            case ast.IfExp(body=body, orelse=orelse):
                return self._tells(body) or self._tells(orelse)
            case ast.Compare() | ast.Lambda():
                return False
            case _:
                return any(self._tells(child) for child in ast.iter_child_nodes(node))

    def _call(self, node: ast.Call) -> bool:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        name = ast.unparse(node.func)
        if name.endswith(("format_exc", "format_exception")):
            return True
        if name in {"type", "isinstance", "getattr", "hasattr", "len", "bool"}:
            return False
        inside = isinstance(node.func, ast.Attribute) and self._receiver(node.func)
        return inside or any(self._tells(one) for one in given)

    def _receiver(self, func: ast.Attribute) -> bool:
        """`message.strip()` tells what `message` does; `error.errors()` is for clients."""
        value = func.value
        if isinstance(value, ast.Name) and value.id == self.name:
            return func.attr in {"__str__", "__repr__", "with_traceback"}
        return self._tells(value)


def tells(node: ast.AST, name: str, function: Function) -> bool:
    """Return whether an expression holds the text of what a name stands for."""
    return Telling(name, function).tells(node)


def leaks(handler: ast.ExceptHandler, function: Function) -> Iterator[Leak]:
    """Return where the text of what a clause catches goes to a client."""
    telling = Telling(handler.name, function)
    flow = Flow(handler.body)
    for event in sorted(
        [*flow.assigns, *flow.raises, *flow.returns, *flow.yields],
        key=lambda event: event.statement.lineno,
    ):
        match event.node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if telling.tells(value):
                telling.held.add(name)
            case ast.Raise(exc=ast.Call() as call) if _is_http(call, function):
                if _given(call, telling):
                    literal = _is_literal(call, handler.name)
                    yield Leak(event.node, "the error's detail", certain=True, literal=literal)
            case ast.Return(value=value) | ast.Yield(value=value) if value is not None:
                if telling.tells(value) and _answers(value, function):
                    certain = isinstance(event.node, ast.Return)
                    yield Leak(event.node, "the answer", certain=certain)
            case _:
                pass
    yield from _later(handler, telling, function)


def _later(handler: ast.ExceptHandler, telling: Telling, function: Function) -> Iterator[Leak]:
    """Return answers after the clause that hold a name which was given the text in it."""
    if not telling.held or route_of(function) is None:
        return
    end = handler.end_lineno or handler.lineno
    for event in function.flow.returns:
        value = event.node.value if isinstance(event.node, ast.Return) else None
        if event.statement.lineno <= end or value is None:
            continue
        if any(isinstance(one, ast.Name) and one.id in telling.held for one in ast.walk(value)):
            yield Leak(event.node, "the answer", certain=False)


def _is_http(call: ast.Call, function: Function) -> bool:
    return is_http_exception(names.resolve(call.func, function))


def _given(call: ast.Call, telling: Telling) -> bool:
    return any(telling.tells(one) for one in (*call.args, *(k.value for k in call.keywords)))


def _is_literal(call: ast.Call, name: str | None) -> bool:
    return name is not None and f"detail=str({name})" in ast.unparse(call)


def _answers(value: ast.expr, function: Function) -> bool:
    """Return whether what is returned goes to a client: from a route, or as a response."""
    if isinstance(value, ast.Call) and response_status(value, function) is not None:
        return True
    return route_of(function) is not None
