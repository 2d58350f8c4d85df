"""HTTPExceptions: which ones leave a function, and which are caught in it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.dataflow import caught, reach
from roadworthy.audit.dataflow.statuses import is_http_exception, raised_status
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event, Handler
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Function, Scope
from roadworthy.audit.source.nodes import last_name, walk
from roadworthy.audit.source.ref import Ref

__all__ = ["Escape", "Propagation", "Swallowed", "lets_pass", "ways"]

HOPS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Escape:
    """An HTTPException that is raised in a function, or in what it calls."""

    status: int | None
    """None where it is not a constant."""
    ref: Ref
    node: ast.stmt
    scope: Function
    """The function that raises it."""
    chain: tuple[reach.Reached, ...] = ()
    """The calls that lead there; empty where the function raises it itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Swallowed:
    """An HTTPException that never leaves, and the clause that catches it."""

    escape: Escape
    handler: Handler


@dataclass(slots=True)
class Propagation:
    """What becomes of the HTTPExceptions in a function."""

    leaving: list[Escape] = field(default_factory=list[Escape])
    eaten: list[Swallowed] = field(default_factory=list[Swallowed])


def ways(function: Function, *, hops: int = HOPS) -> Propagation:
    """Return which HTTPExceptions leave a function, and which are caught in it."""
    facts, key = function.module.codebase.facts, (ways, function, hops)
    if key not in facts:
        facts[key] = Propagation()  # where a function calls itself, nothing new is found
        facts[key] = _found(function, hops)
    found: Propagation = facts[key]
    return found


def _found(function: Function, hops: int) -> Propagation:
    found = Propagation()
    for event, escape in (*_raised(function), *_called(function, hops)):
        handler = _caught_by(event, escape.ref, function)
        if handler is None:
            found.leaving.append(escape)
        else:
            found.eaten.append(Swallowed(escape, handler))
    return found


def _raised(function: Function) -> Iterator[tuple[Event, Escape]]:
    for event in function.flow.raises:
        node = event.node
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        ref = names.resolve(node.exc, function)
        if ref is not None and is_http_exception(ref):
            status = raised_status(_made(node.exc, function), function)
            yield event, Escape(status, ref, node, function)


def _made(node: ast.expr, function: Function) -> ast.expr:
    """Return the call that made what a local name stands for."""
    if isinstance(node, ast.Name):
        for binding in function.names.get(node.id, ()):
            if isinstance(binding, Assigned) and isinstance(binding.value, ast.Call):
                return binding.value
    return node


def _called(function: Function, hops: int) -> Iterator[tuple[Event, Escape]]:
    if hops == 0:
        return
    for one in reach.calls(function):
        called = reach.callee(one)
        if called is None or called is function:
            continue
        for inner in ways(called, hops=hops - 1).leaving:
            chain = (one, *inner.chain)
            yield one.call, Escape(inner.status, inner.ref, inner.node, inner.scope, chain)


def _caught_by(event: Event, ref: Ref, function: Function) -> Handler | None:
    for tried in event.tries():
        handler = _first(tried, ref, function)
        if handler is None or lets_pass(handler.node, function):
            continue
        if not _answers_itself(handler.node, ref, function):
            return handler
    return None


def _answers_itself(handler: ast.ExceptHandler, ref: Ref, function: Function) -> bool:
    """Return whether a clause asks for a kind of HTTPException and has an answer for it."""
    return any(
        _is_for(asked, handler.name, ref, function)
        for part in handler.body
        for node in walk(part)
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise | ast.Return)
        for asked in _alternatives(node)
    )


def _alternatives(node: ast.If) -> list[ast.expr]:
    test = node.test
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]


def _is_for(test: ast.expr, name: str | None, ref: Ref, function: Function) -> bool:
    """Return whether a condition is `isinstance(error, Kind)` with a class of the exception."""
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=asked), kinds]):
            clause = ast.ExceptHandler(kinds, None, [])
            return asked == name and any(
                one is not None and one.name in _classes(ref) - caught.EVERYTHING
                for one in caught.types(clause, function)
            )
        case _:
            return False


def _classes(ref: Ref) -> set[str]:
    return {base.name for base in names.bases(ref.cls)} if ref.cls is not None else {ref.name}


def _first(tried: ast.Try, ref: Ref, function: Function) -> Handler | None:
    """Return the first clause of a `try` that catches an exception."""
    known = _classes(ref) | caught.EVERYTHING | {"fastapi.HTTPException"}
    for handler in function.flow.handlers:
        if handler.tried is tried and any(
            one is not None and one.name in known for one in caught.types(handler.node, function)
        ):
            return handler
    return None


def lets_pass(handler: ast.ExceptHandler, scope: Scope) -> bool:
    """Return whether a clause raises what it caught again, or answers with its status."""
    name = handler.name
    for node in (inner for statement in handler.body for inner in walk(statement)):
        match node:
            case ast.Raise(exc=None):
                return True
            case ast.Raise(exc=ast.Name(id=raised)) if raised == name:
                return True
            case ast.Attribute(value=ast.Name(id=owner), attr="status_code") if owner == name:
                return True
            case ast.Constant(value="status_code"):
                return True
            case ast.Call() if _tells_apart(node, name, scope):
                return True
            case _:
                pass
    return False


def _tells_apart(call: ast.Call, name: str | None, scope: Scope) -> bool:
    """Return whether a call may look at which exception it is."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name is None or not any(isinstance(one, ast.Name) and one.id == name for one in given):
        return False
    if isinstance(call.func, ast.Name) and call.func.id in {"isinstance", "issubclass"}:
        return _names_it(call.args[-1])
    ref = names.resolve(call.func, scope)
    return ref is not None and ref.function is not None and _asks_kind(ref.function)


@remembered
def _asks_kind(function: Function) -> bool:
    """Return whether a function names HTTPException, and asks what it has been given."""
    body = [node for part in function.node.body for node in walk(part)]
    asks = any(last_name(node) in {"isinstance", "status_code"} for node in body)
    return asks and any(_names_it(node) for node in body if isinstance(node, ast.expr))


def _names_it(node: ast.AST) -> bool:
    return any(last_name(one).endswith("HTTPException") for one in walk(node))
