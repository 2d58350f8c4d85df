"""Where the text of a caught exception goes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.dataflow import narrowed, reach
from roadworthy.audit.dataflow.caught import Breadth
from roadworthy.audit.dataflow.narrowed import Condition
from roadworthy.audit.dataflow.statuses import is_http_exception, is_response, response_status
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event, Flow
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, walk
from roadworthy.audit.source.ref import Ref

__all__ = ["TEXTS", "Leak", "Telling", "is_known", "leaks"]

TEXTS: Final = frozenset({"args", "message", "msg", "orig", "statement", "reason"})
"""Attributes of exceptions that hold their text; `strerror` names no path."""
_DEEPEST: Final = 3
"""As many functions of the project are asked what they make of an exception."""
_SILENT: Final = frozenset(
    {
        *("builtins.type", "builtins.isinstance", "builtins.getattr", "builtins.hasattr"),
        *("builtins.len", "builtins.bool", "builtins.id", "builtins.issubclass"),
    }
)
"""What says nothing of an exception's text."""
_FORMATS: Final = frozenset({"format_exc", "format_exception", "format_exception_only"})


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
    """The exception itself: no text as it is, one where it is formatted."""
    function: Function
    held: set[str] = field(default_factory=set[str])
    depth: int = _DEEPEST
    texts: frozenset[str] = TEXTS
    """The attributes of the exception that hold its text."""

    def tells(self, node: ast.AST | None) -> bool:
        """Return whether an expression holds the text of the exception."""
        return node is not None and self._tells(node, formatted=False)

    def _tells(self, node: ast.AST, *, formatted: bool) -> bool:  # noqa: PLR0911 - a table
        match node:
            case ast.Name(id=name):
                return name in self.held or (formatted and name == self.name)
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == self.name:
                return attr in self.texts
            case ast.Call():
                return self._call(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                shown = self._reaches(test) and self._tells(body, formatted=formatted)
                hidden = narrowed.is_asked_for(test, holds=False)
                return shown or (not hidden and self._tells(orelse, formatted=formatted))
            case ast.Compare() | ast.Lambda():
                return False
            case ast.FormattedValue() | ast.BinOp(op=ast.Mod()):
                return any(self._tells(one, formatted=True) for one in ast.iter_child_nodes(node))
            case _:
                children = ast.iter_child_nodes(node)
                return any(self._tells(child, formatted=formatted) for child in children)

    def _reaches(self, test: ast.expr) -> bool:
        """Return whether a foreign text gets past a condition that nobody asked for."""
        if narrowed.is_asked_for(test):
            return False
        name = self.name or ""
        return narrowed.kinds_of(test, name, self.function) > Breadth.NARROW

    def _call(self, node: ast.Call) -> bool:
        called = names.resolve(node.func, self.function)
        if last_name(node.func) in _FORMATS and (called is None or called.entity is None):
            return True
        if called is not None and called.name in _SILENT:
            return False
        if isinstance(node.func, ast.Attribute) and self._receiver(node.func, called):
            return True
        formatted = called is None or not _keeps_objects(called)
        if not any(self._tells(one, formatted=formatted) for one in _given_to(node)):
            return False
        own = None if called is None else called.function
        return own is None or called is None or self._comes_out(node, own, called)

    def _comes_out(self, node: ast.Call, function: Function, ref: Ref) -> bool:
        """Return whether a function of the project returns the text that it is given."""
        if self.depth == 0 or function.is_generator:
            return True
        told = list(self.handed(node, function, ref))
        return not told or any(_returns_it(one) for one in told)

    def handed(self, node: ast.Call, function: Function, ref: Ref | None) -> Iterator["Telling"]:
        """Return what a function knows of the exception that a call gives it."""
        given = reach.arguments(node, function, ref)
        for name, value in given.items():
            is_itself = isinstance(value, ast.Name) and value.id == self.name
            if is_itself or self._tells(value, formatted=False):
                inner = Telling(name, function, depth=self.depth - 1, texts=self.texts)
                if not is_itself:
                    inner.held.add(name)
                yield inner

    def _receiver(self, func: ast.Attribute, called: Ref | None) -> bool:
        """`message.strip()` tells what `message` does; `error.errors()` is for clients."""
        value = func.value
        if isinstance(value, ast.Name) and value.id == self.name:
            if called is not None and called.function is not None and self.depth > 0:
                return _returns_it(self._as_method(called.function))
            return func.attr in {"__str__", "__repr__", "with_traceback"}
        return self._tells(value, formatted=False)

    def _as_method(self, method: Function) -> "Telling":
        first = method.params[0].name if method.params else None
        return Telling(first, method, depth=self.depth - 1, texts=self.texts)

    def note(self, event: Event) -> bool:
        """Keep in mind a name that is given the text, and return whether one is."""
        match event.node:
            case ast.Assign(targets=[ast.Name(id=held)], value=value) if self.tells(value):
                self.held.add(held)
                return True
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=held), attr="append"), args=[value]
            ) if self.tells(value):
                self.held.add(held)
                return True
            case _:
                return False


def _keeps_objects(called: Ref) -> bool:
    """Return whether a call makes no text of what it is given: a dict, a model, an answer."""
    if called.name in _CONTAINERS or is_http_exception(called) or is_response(called):
        return True
    return called.cls is not None and not called.is_instance


_CONTAINERS: Final = frozenset({f"builtins.{one}" for one in ("dict", "list", "tuple", "set")})


def _given_to(call: ast.Call) -> Iterator[ast.expr]:
    """Return the arguments of a call."""
    yield from call.args
    yield from (keyword.value for keyword in call.keywords)


def _returns_it(telling: Telling) -> bool:
    """Return whether what a function returns holds the text of any exception it gets."""
    function, name = telling.function, telling.name or ""
    events = [*function.flow.assigns, *function.flow.returns]
    for event in sorted(events, key=lambda one: one.statement.lineno):
        found = narrowed.conditions(event.statement, function.node.body)
        if _is_kept_back(found, name, function) or telling.note(event):
            continue
        match event.node:
            case ast.Return(value=value) if telling.tells(value):
                return True
            case ast.Return() if _is_for_all(found, name, function):
                return False
            case _:
                pass
    return False


def is_known(found: list[Condition], name: str, function: Function) -> bool:
    """Return whether only known kinds of exceptions get there, or only on demand."""
    if narrowed.kinds(found, name, function) <= Breadth.NARROW:
        return True
    return any(narrowed.is_asked_for(one.test, holds=one.holds) for one in found)


def _is_kept_back(found: list[Condition], name: str, function: Function) -> bool:
    """Return whether a helper returns it for known kinds only, or where its caller asks."""
    others = {param.name for param in function.params} - {name}
    return is_known(found, name, function) or any(_is_one_of(one, others) for one in found)


def _is_one_of(condition: Condition, parameters: set[str]) -> bool:
    """Return whether a condition says that a parameter is true."""
    test, holds = condition.test, condition.holds
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, holds = test.operand, not holds
    return holds and isinstance(test, ast.Name) and test.id in parameters


def _is_for_all(found: list[Condition], name: str, function: Function) -> bool:
    """Return whether every exception leaves there: `if isinstance(error, Exception): return`."""
    inside = [one for one in found if not one.is_exit]
    return len(inside) == 1 and inside[0].holds and _takes_all(inside[0].test, name, function)


def _takes_all(test: ast.expr, name: str, function: Function) -> bool:
    is_asked = any(last_name(node) == "isinstance" for node in walk(test))
    return is_asked and narrowed.kinds_of(test, name, function) is Breadth.ALL


def leaks(handler: ast.ExceptHandler, function: Function) -> Iterator[Leak]:
    """Return where the text of what a clause catches goes to a client."""
    telling = Telling(handler.name, function)
    flow = Flow(handler.body)
    for event in sorted(
        [*flow.assigns, *flow.raises, *flow.returns, *flow.yields, *flow.calls],
        key=lambda event: event.statement.lineno,
    ):
        found = narrowed.conditions(event.statement, handler.body)
        if telling.note(event) or is_known(found, handler.name or "", function):
            continue
        yield from _leak(event, telling, len(found))
    yield from _handed_on(flow, handler, telling)
    yield from _later(handler, telling, function)


def _leak(event: Event, telling: Telling, conditions: int) -> Iterator[Leak]:
    """Return the leak of one statement, by the sink that it is."""
    match event.node:
        case ast.Raise(exc=ast.Call() as call):
            yield from _raised(event.node, call, telling, conditions)
        case ast.Return(value=value) | ast.Yield(value=value) if value is not None:
            yield from _returned(event.node, value, telling, conditions)
        case _:
            pass


def _raised(node: ast.AST, call: ast.Call, telling: Telling, conditions: int) -> Iterator[Leak]:
    """`raise HTTPException(500, detail=str(error))`."""
    if _is_answer(call, telling):
        literal = _is_literal(call, telling.name)
        how = "the error's detail"
        yield Leak(node, how, certain=True, literal=literal, conditions=conditions)


def _returned(node: ast.AST, value: ast.expr, telling: Telling, conditions: int) -> Iterator[Leak]:
    """`return {"error": str(error)}`, and `yield` of a stream, which is less certain."""
    if telling.tells(value) and _answers(value, telling.function):
        certain = isinstance(node, ast.Return)
        yield Leak(node, "the answer", certain=certain, conditions=conditions)


def _is_answer(call: ast.Call, telling: Telling) -> bool:
    """Return whether what is raised is an error of HTTP that holds the text."""
    ref = names.resolve(call.func, telling.function)
    if is_http_exception(ref):
        return any(telling.tells(one) for one in _given_to(call))
    made = names.resolve(call, telling.function)
    return is_http_exception(made) and telling.tells(call)


def _handed_on(flow: Flow, handler: ast.ExceptHandler, telling: Telling) -> Iterator[Leak]:
    """Return the calls in a clause of what raises an error of HTTP with the text."""
    for call in flow.calls:
        found = narrowed.conditions(call.statement, handler.body)
        if is_known(found, handler.name or "", telling.function):
            continue
        if _raises_it(call.node, telling):
            yield Leak(call.node, "the error's detail", certain=True, conditions=len(found))


def _raises_it(call: ast.Call, telling: Telling) -> bool:
    """Return whether a function of the project answers with the text that it is given."""
    ref = names.resolve(call.func, telling.function)
    called = None if ref is None else ref.function
    if called is None or called.is_generator or telling.depth == 0:
        return False
    return any(_sends(inner) for inner in telling.handed(call, called, ref))


def _sends(telling: Telling) -> bool:
    """Return whether a function, or one that it calls, raises an error of HTTP with a text."""
    function, name = telling.function, telling.name or ""
    flow = function.flow
    events: list[Event] = [*flow.assigns, *flow.raises, *flow.calls]
    for event in sorted(events, key=lambda one: one.statement.lineno):
        found = narrowed.conditions(event.statement, function.node.body)
        if _is_kept_back(found, name, function) or telling.note(event):
            continue
        match event.node:
            case ast.Raise(exc=ast.Call() as made) if _is_answer(made, telling):
                return True
            case ast.Call() as inner if _raises_it(inner, telling):
                return True
            case _:
                pass
    return False


def _later(handler: ast.ExceptHandler, telling: Telling, function: Function) -> Iterator[Leak]:
    """Return answers after the clause that hold a name which was given the text in it."""
    if not telling.held or route_of(function) is None:
        return
    end = handler.end_lineno or handler.lineno
    for event in function.flow.returns:
        value = event.node.value if isinstance(event.node, ast.Return) else None
        if event.statement.lineno <= end or value is None:
            continue
        if telling.tells(value):
            yield Leak(event.node, "the answer", certain=False)


def _is_literal(call: ast.Call, name: str | None) -> bool:
    """Return whether a call says `detail=str(error)`."""
    for keyword in call.keywords:
        match keyword:
            case ast.keyword(
                arg="detail",
                value=ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=told)], keywords=[]),
            ):
                return told == name
            case _:
                pass
    return False


def _answers(value: ast.expr, function: Function) -> bool:
    """Return whether what is returned goes to a client: from a route, or as a response."""
    if isinstance(value, ast.Call) and response_status(value, function) is not None:
        return True
    return route_of(function) is not None or is_response(names.resolve(value, function))
