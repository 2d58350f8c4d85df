"""Sessions of a request that work beside the request gets, or work after it."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.bound_sessions import SESSIONS, is_given_session
from roadworthy.audit.dataflow.given_parameters import is_always_none
from roadworthy.audit.dataflow.reach import callee, reach
from roadworthy.audit.dataflow.started_tasks import left_behind
from roadworthy.audit.dataflow.starters import Runs, may_start
from roadworthy.audit.dataflow.values import dotted
from roadworthy.audit.fastapi.background import Task
from roadworthy.audit.fastapi.dependencies import Need, needs_of
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import last_name, root, walk
from roadworthy.audit.source.pins import Pin, pin_of, service_root
from roadworthy.audit.source.ref import Ref

__all__ = ["closed_before", "held_by", "is_connection", "taken_beside"]

_BARE: Final = tuple(name for name in SESSIONS if not name.startswith("sqlalchemy."))
"""Connections that nothing opens again: sessions take a new one."""
_CLOSED: Final = ((0, 106), (0, 118))
"""From the first to the second, dependencies were left before the answer was sent."""


def held_by(task: Task, function: Function) -> ast.expr | None:
    """Return the request's session that a background task is given, or works with."""
    return next((one for one in _held(task) if _is_session(one, function)), None)


def taken_beside(function: Function) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Return the tasks of asyncio that get the session of the request that starts them."""
    if not may_start(function.module.source, Runs.TASK) or route_of(function) is None:
        return
    for call in left_behind(function):
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        parts = (part for one in given for part in _parts(one))
        found = next((one for one in parts if _is_of_request(one, function)), None)
        if found is not None:
            yield call, found


def is_connection(node: ast.expr, function: Function) -> bool:
    """Return whether an expression is a connection that nothing opens again."""
    return names.is_a(names.resolve(node, function), *_BARE)


def _is_of_request(node: ast.expr, function: Function) -> bool:
    """Return whether an expression is a session from `Depends`, or was made with one."""
    if not _is_session(node, function):
        return False
    return _need(node, function) is not None or _made_with_session(node, function)


def _held(task: Task) -> Iterator[ast.expr]:
    """Return what a task has: its arguments, and what it is a method of."""
    for given in task.given:
        yield from _parts(given)
    match task.target:
        case ast.Attribute(value=owner) if _uses_session(task.function):
            yield owner
        case ast.Name() if task.function is not None and task.function.outer is task.reached.scope:
            yield from _closed_over(task.function, task.reached.scope)
        case ast.Call() | ast.Lambda():  # `partial(work, session)`, `lambda: work(session)`
            yield from _parts(task.target)
            yield from _owners(task)
        case _:
            pass


def _owners(task: Task) -> Iterator[ast.expr]:
    """Return whose methods `lambda: self.work()` and `partial(self.work, 3)` call."""
    match task.target:
        case ast.Lambda(body=ast.Call(func=ast.Attribute() as called)):
            pass
        case ast.Call(args=[ast.Attribute() as called, *_]):
            pass
        case _:
            return
    found = names.resolve(called, task.reached.scope)
    if found is not None and found.function is not None and _uses_session(found.function):
        yield called.value


def _closed_over(inner: Function, function: Function) -> Iterator[ast.expr]:
    """Return the names of a function that a function inside it uses."""
    for part in inner.node.body:
        for node in walk(part):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                own = node.id in inner.names or inner.param(node.id) is not None
                outer = node.id in function.names or function.param(node.id) is not None
                if outer and not own:
                    yield node


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Return an expression, or those that a list, a `partial` or a lambda has."""
    match node:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for one in parts:
                yield from _parts(one)
        case ast.Dict(values=values):
            for one in values:
                yield from _parts(one)
        case ast.Lambda(body=ast.Call() as call):
            yield from _parts(call)
        case ast.Call(args=args, keywords=keywords) if last_name(node.func)[:1].islower():
            for one in (*args, *(keyword.value for keyword in keywords)):
                yield from _parts(one)
        case _:
            yield node


def _uses_session(method: Function | None) -> bool:
    """Return whether a method works with a session that its object holds, as far as is known."""
    if method is None:
        return True
    called = (found for one in reach(method) if (found := callee(one)) is not None)
    return any(_touches_session(one) for one in (method, *called))


@remembered
def _touches_session(function: Function) -> bool:
    return any(
        isinstance(node, ast.Attribute) and names.is_a(names.resolve(node, function), *SESSIONS)
        for part in function.node.body
        for node in walk(part)
    )


def _is_session(node: ast.expr, function: Function) -> bool:
    """Return whether an expression is a session, or something of the request that has one."""
    ref = names.resolve(node, function)
    if dotted(node) == "self":
        return is_given_session(ref)
    if isinstance(node, ast.Name) and is_always_none(node.id, function):
        return False
    if names.is_a(ref, *SESSIONS):
        return ref is not None and ref.is_instance and bool(dotted(node))
    if ref is None or not _has_session(ref, frozenset()):
        return False
    return _need(node, function) is not None or _made_with_session(node, function)


def _made_with_session(node: ast.expr, function: Function) -> bool:
    """Return whether an object was made here, and given a session: `Loans(session)`."""
    if isinstance(node, ast.Name) and function.param(node.id) is None:
        made = [one for one in function.names.get(node.id, ()) if isinstance(one, Assigned)]
        node = made[0].value if made and made[0].value is not None else node
    if not isinstance(node, ast.Call):
        return False
    given = (*node.args, *(keyword.value for keyword in node.keywords))
    return any(_is_session(one, function) for one in given)


def _has_session(ref: Ref, seen: frozenset[str]) -> bool:
    """Return whether an object keeps a session, or another object that does."""
    if ref.cls is None or not ref.is_instance or ref.name in seen:
        return False
    held = [
        found
        for base in names.bases(ref.cls)
        if base.cls is not None
        for name in {*base.cls.attributes, *base.cls.names}
        if (found := names.member(ref, name)) is not None and found.is_instance
    ]
    if any(names.is_a(one, *SESSIONS) for one in held):
        return True
    return any(_has_session(one, seen | {ref.name}) for one in held)


def _need(node: ast.expr, function: Function) -> Need | None:
    """Return the `Depends` that an expression comes from."""
    name = last_name(root(node))
    return next(
        (need for need in needs_of(function) if need.param is not None and need.param.name == name),
        None,
    )


def closed_before(node: ast.expr, function: Function) -> str:
    """Return why a session is closed when a background task runs; empty where it is open."""
    need = _need(node, function)
    if need is not None and any(
        keyword.arg == "scope" and getattr(keyword.value, "value", "") == "function"
        for keyword in need.call.keywords
    ):
        return 'scope="function"'
    pin = _pin(function)
    if pin is not None and _CLOSED[0] <= pin.version < _CLOSED[1]:
        return pin.source
    return ""


def _pin(function: Function) -> Pin | None:
    root = function.module.codebase.root
    return pin_of(root, service_root(root, function.module.path), "fastapi")
