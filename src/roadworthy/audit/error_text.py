"""Where the text of a caught exception goes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit import names, narrowed, reach
from roadworthy.audit.caught import Breadth
from roadworthy.audit.flow import Event, Flow
from roadworthy.audit.module import Function
from roadworthy.audit.ref import Ref
from roadworthy.audit.routes import route_of
from roadworthy.audit.statuses import is_http_exception, response_status

__all__ = ["Leak", "Telling", "leaks", "tells"]

_TEXTS: Final = frozenset({"args", "message", "msg", "orig", "statement", "reason"})
"""Attributes of exceptions that hold their text; `strerror` names no path."""
_DEEPEST: Final = 2
"""As many functions of the project are asked what they make of an exception."""


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
    conditions: int = 0
    """How many conditions must hold for it."""


@dataclass(slots=True)
class Telling:
    """Which names hold the text of an exception."""

    name: str | None
    function: Function
    held: set[str] = field(default_factory=set[str])
    depth: int = _DEEPEST

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
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return (self._reaches(test) and self._tells(body)) or self._tells(orelse)
            case ast.Compare() | ast.Lambda():
                return False
            case _:
                return any(self._tells(child) for child in ast.iter_child_nodes(node))

    def _reaches(self, test: ast.expr) -> bool:
        """Return whether a foreign text gets past a condition that nobody asked for."""
        if narrowed.is_asked_for(test):
            return False
        name = self.name or ""
        return narrowed.kinds_of(test, name, self.function) > Breadth.NARROW

    def _call(self, node: ast.Call) -> bool:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        name = ast.unparse(node.func)
        if name.endswith(("format_exc", "format_exception")):
            return True
        if name in {"type", "isinstance", "getattr", "hasattr", "len", "bool"}:
            return False
        if isinstance(node.func, ast.Attribute) and self._receiver(node.func):
            return True
        if not any(self._tells(one) for one in given):
            return False
        called = names.resolve(node.func, self.function)
        own = None if called is None else called.function
        return own is None or self._comes_out(node, own, called)

    def _comes_out(self, node: ast.Call, function: Function, ref: Ref | None) -> bool:
        """Return whether a function of the project returns the text that it is given."""
        if self.depth == 0 or function.is_generator:
            return True
        given = reach.arguments(node, function, ref)
        told = [name for name, value in given.items() if self._tells(value)]
        return not told or any(_returns_it(function, name, self.depth - 1) for name in told)

    def _receiver(self, func: ast.Attribute) -> bool:
        """`message.strip()` tells what `message` does; `error.errors()` is for clients."""
        value = func.value
        if isinstance(value, ast.Name) and value.id == self.name:
            return func.attr in {"__str__", "__repr__", "with_traceback"}
        return self._tells(value)


def _returns_it(function: Function, name: str, depth: int) -> bool:
    """Return whether what a function returns holds the text of any exception it gets."""
    telling = Telling(name, function, depth=depth)
    events = [*function.flow.assigns, *function.flow.returns]
    for event in sorted(events, key=lambda one: one.statement.lineno):
        if _is_kept_back(event, name, function):
            continue
        match event.node:
            case ast.Assign(targets=[ast.Name(id=held)], value=value) if telling.tells(value):
                telling.held.add(held)
            case ast.Return(value=value) if telling.tells(value):
                return True
            case ast.Return() if _is_for_all(event, name, function):
                return False
            case _:
                pass
    return False


def _is_known(event: Event, name: str, function: Function) -> bool:
    """Return whether only known kinds of exceptions get there, or only on demand."""
    if narrowed.kinds(event, name, function) <= Breadth.NARROW:
        return True
    return any(map(narrowed.is_asked_for, _tests(event)))


def _is_kept_back(event: Event, name: str, function: Function) -> bool:
    """Return whether a helper returns it for known kinds only, or where its caller asks."""
    others = {param.name for param in function.params} - {name}
    return _is_known(event, name, function) or any(
        isinstance(test, ast.Name) and test.id in others for test in _tests(event)
    )


def _is_for_all(event: Event, name: str, function: Function) -> bool:
    """Return whether every exception leaves there: `if isinstance(error, Exception): return`."""
    return len(list(event.blocks())) == 1 and all(
        "isinstance" in ast.unparse(test) and narrowed.kinds_of(test, name, function) is Breadth.ALL
        for test in _tests(event)
    )


def _tests(event: Event) -> list[ast.expr]:
    return [one.node.test for one in event.blocks("if") if isinstance(one.node, ast.If)]


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
                if _given(call, telling) and not _is_known(event, handler.name or "", function):
                    literal = _is_literal(call, handler.name)
                    yield Leak(
                        event.node,
                        "the error's detail",
                        certain=True,
                        literal=literal,
                        conditions=_conditions(event),
                    )
            case ast.Return(value=value) | ast.Yield(value=value) if value is not None:
                if (
                    telling.tells(value)
                    and _answers(value, function)
                    and not _is_known(event, handler.name or "", function)
                ):
                    certain = isinstance(event.node, ast.Return)
                    yield Leak(
                        event.node, "the answer", certain=certain, conditions=_conditions(event)
                    )
            case _:
                pass
    yield from _later(handler, telling, function)


def _conditions(event: Event) -> int:
    return len(list(event.blocks("if", "else", "case")))


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
