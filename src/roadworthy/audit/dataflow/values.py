"""Follow a value through a function, and into the functions that it is handed to."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow.reach import HOPS, Reached, arguments, calls
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.ref import Ref

__all__ = ["Frame", "bound", "dotted", "follow", "handed_over", "holds", "nodes_of"]

_PASSING: Final = frozenset({"enumerate", "zip", "reversed", "list", "tuple", "sorted", "iter"})
"""Calls whose result has what they are given."""
_TAKING: Final = frozenset({"get", "getlist", "values", "items", "multi_items"})
"""Methods of collections whose result has what is in them."""

_HAND_OVER: Final = {
    "starlette.concurrency.run_in_threadpool": 0,
    "asyncio.to_thread": 0,
    "anyio.to_thread.run_sync": 0,
    "asgiref.sync.sync_to_async": 0,
    "fastapi.BackgroundTasks.add_task": 0,
    "starlette.background.BackgroundTask": 0,
}
"""Calls that run what they are given, and at which place that stands."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A function that has the value, under some names."""

    function: Function
    names: frozenset[str]
    """Dotted, such as `file` and `form.file`."""
    chain: tuple[Reached, ...] = ()
    """The calls that lead there, from the outermost."""

    def has(self, node: ast.AST | None) -> bool:
        """Return whether an expression is the value, or a collection that holds it."""
        return holds(node, self.names)

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Return everything that is written in it, also in functions inside."""
        return nodes_of(self.function)

    def member(self, node: ast.AST, name: str) -> bool:
        """Return whether an expression is an attribute of the value."""
        if isinstance(node, ast.Attribute):
            return node.attr == name and self.has(node.value)
        return _is_getattr(node, name) and self.has(node.args[0])  # type: ignore[attr-defined]


def _is_getattr(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "getattr"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
        and node.args[1].value == name
    )


def dotted(node: ast.AST | None) -> str:
    """Return `a.b.c` as it is written, or nothing for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def holds(node: ast.AST | None, known: Iterable[str]) -> bool:
    """Return whether an expression is one of some names, or a collection with it."""
    match node:
        case ast.Name():
            return node.id in known
        case ast.Attribute():
            return dotted(node) in known or (node.attr == "file" and holds(node.value, known))
        case _:
            return any(holds(part, known) for part in _parts(node))


def _parts(node: ast.AST | None) -> list[ast.expr]:  # noqa: PLR0911 - a table
    """Return the expressions of which an expression is one, or has them all."""
    match node:
        case ast.Await() | ast.Starred() | ast.NamedExpr() | ast.Subscript():
            return [node.value]
        case ast.BoolOp():
            return node.values
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.List() | ast.Tuple():
            return node.elts
        case ast.Call(func=ast.Name(id=name)) if name in _PASSING:
            return node.args
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _TAKING:
            return [value]
        case _:
            return []


def follow(function: Function, known: Iterable[str], *, hops: int = HOPS) -> Iterator[Frame]:
    """Return the functions that get a value, from the one whose names are given on."""
    yield from _follow(function, frozenset(known), (), hops, {function.qualname})


def _follow(
    function: Function,
    known: frozenset[str],
    chain: tuple[Reached, ...],
    hops: int,
    seen: set[str],
) -> Iterator[Frame]:
    frame = Frame(function, _with_aliases(function, known), chain)
    yield frame
    for inner in function.inner:
        yield from _follow(inner, frame.names, chain, hops, seen)
    if len(chain) >= hops:
        return
    for reached in calls(function):
        called, call = handed_over(reached) or (_project_function(reached.ref), reached.call.node)
        if called is None:
            continue
        given = arguments(call, called, reached.ref)
        taken = frozenset(name for name, value in given.items() if frame.has(value))
        key = f"{called.module.path}:{called.qualname}:{sorted(taken)}"
        if taken and key not in seen:
            seen.add(key)
            here = Reached(reached.call, reached.ref, function, chain)
            yield from _follow(called, taken, (*chain, here), hops, seen)


def _project_function(ref: Ref | None) -> Function | None:
    if ref is None or ref.cls is None:
        return None if ref is None else ref.function
    found = names.member(ref, "__call__" if ref.is_instance else "__init__")
    return None if found is None else found.function


def handed_over(reached: Reached) -> tuple[Function, ast.Call] | None:
    """Return what a call lets others run: `to_thread(work, file)` is `work(file)`."""
    at = _place(reached)
    node = reached.call.node
    if at is None or len(node.args) <= at:
        return None
    found = names.resolve(node.args[at], reached.scope)
    function = _project_function(found)
    if function is None:
        return None
    made = ast.Call(node.args[at], node.args[at + 1 :], node.keywords)
    return function, ast.copy_location(made, node)


def _place(reached: Reached) -> int | None:
    func = reached.call.node.func
    if isinstance(func, ast.Attribute) and func.attr == "run_in_executor":
        return 1
    if isinstance(func, ast.Attribute) and func.attr == "submit":
        return 0
    return _HAND_OVER.get(reached.name)


def _with_aliases(function: Function, known: frozenset[str]) -> frozenset[str]:
    found = set(known)
    for _ in range(2):  # names may be used above, in a loop
        for target, value in bound(function):
            if holds(value, found):
                found |= set(_names(target))
    return frozenset(found)


@remembered
def bound(function: Function) -> tuple[tuple[ast.expr, ast.expr], ...]:
    """Return the targets and values of all that a function binds."""
    return tuple(one for node in nodes_of(function) for one in _bound(node))


def _bound(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            yield node.target, node.iter
        case ast.withitem(context_expr=value, optional_vars=target) if target is not None:
            yield target, value
        case _:
            pass


@remembered
def nodes_of(function: Function) -> tuple[ast.AST, ...]:
    """Return everything that is written in a function, also in functions inside."""
    return tuple(node for part in function.node.body for node in ast.walk(part))


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            for one in elts:
                yield from _names(one)
        case _:
            if name := dotted(target):
                yield name
