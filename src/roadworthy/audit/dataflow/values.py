"""Follow a value through a function, and into the functions that it is handed to."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow.expressions import dotted, holds
from roadworthy.audit.dataflow.members import members
from roadworthy.audit.dataflow.reach import HOPS, Reached, arguments, calls
from roadworthy.audit.dataflow.starters import Runs, starter, work_of
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import walk
from roadworthy.audit.source.ref import Ref

__all__ = ["Frame", "bound", "dotted", "follow", "handed_over", "holds", "nodes_of"]

_HANDS_OVER: Final = (Runs.THREAD, Runs.EXECUTOR, Runs.POOL, Runs.AFTERWARDS)


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


@dataclass(frozen=True, eq=False)
class _Arrival:
    """A function that is still to be looked at, and what the value is called on its way in."""

    function: Function
    names: frozenset[str]
    chain: tuple[Reached, ...] = ()


def follow(function: Function, known: Iterable[str], *, hops: int = HOPS) -> Iterator[Frame]:
    """Return the functions that get a value, from the one whose names are given on."""
    waiting = [_Arrival(function, frozenset(known))]
    seen: set[tuple[Function, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        if (one.function, one.names) in seen:
            continue
        seen.add((one.function, one.names))
        frame = Frame(one.function, _with_aliases(one.function, one.names), one.chain)
        yield frame
        further = _handed_on(frame) if len(one.chain) < hops else ()
        waiting += reversed([*_to_inner(frame), *further])


def _to_inner(frame: Frame) -> Iterator[_Arrival]:
    """Return the functions inside one, which see its names."""
    return (_Arrival(inner, frame.names, frame.chain) for inner in frame.function.inner)


def _handed_on(frame: Frame) -> Iterator[_Arrival]:
    """Return the functions of the project that a function hands the value to."""
    for reached in calls(frame.function):
        for called, taken, ref in _takers(reached, frame):
            if taken:
                here = Reached(reached.call, ref, frame.function, frame.chain)
                yield _Arrival(called, taken, (*frame.chain, here))


def _takers(
    reached: Reached, frame: Frame
) -> Iterator[tuple[Function, frozenset[str], Ref | None]]:
    """Return the functions that a call gives the value to, and by which names they have it."""
    called, call = handed_over(reached) or (_called(reached.ref), reached.call.node)
    if called is not None:
        yield called, _taken(call, called, reached.ref, frame), reached.ref
    for argument in (*call.args, *(one.value for one in call.keywords)):
        if isinstance(argument, ast.Attribute):  # `handle(Work(file).run)`
            method = names.resolve(argument, frame.function)
            if method is not None and method.function is not None:
                yield method.function, _own(argument, method.function, frame), method


def _taken(call: ast.Call, called: Function, ref: Ref | None, frame: Frame) -> frozenset[str]:
    found = dict.fromkeys(_own(call.func, called, frame))
    for name, value in arguments(call, called, ref).items():
        if frame.has(value):
            found[name] = None
        for member in members(value, frame.names, frame.function):
            found[f"{name}.{member}"] = None
    return frozenset(found)


def _own(method: ast.expr, function: Function, frame: Frame) -> frozenset[str]:
    """Return what a method has of the value by its own object: `self.file`."""
    if not (function.is_bound and function.params and isinstance(method, ast.Attribute)):
        return frozenset()
    self = function.params[0].name
    held = members(method.value, frame.names, frame.function)
    return frozenset(f"{self}.{member}" for member in held)


def _called(ref: Ref | None) -> Function | None:
    """Return the function of the project that runs where something is called."""
    if ref is None or ref.cls is None:
        return None if ref is None else ref.function
    found = names.member(ref, "__call__" if ref.is_instance else "__init__")
    return None if found is None else found.function


def handed_over(reached: Reached) -> tuple[Function, ast.Call] | None:
    """Return what a call lets others run: `to_thread(work, file)` is `work(file)`."""
    found = starter(reached.call.node, reached.ref)
    if found is None or found.runs not in _HANDS_OVER:
        return None
    made = work_of(reached.call.node, found)
    function = None if made is None else _called(names.resolve(made.func, reached.scope))
    return None if made is None or function is None else (function, made)


def _with_aliases(function: Function, known: frozenset[str]) -> frozenset[str]:
    found = set(known)
    for _ in range(2):  # names may be used above, in a loop
        for target, value in bound(function):
            if holds(value, found):
                found |= set(_names(target))
                continue
            held = members(value, found, function)
            found |= {f"{name}.{one}" for name in _names(target) for one in held if held}
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
    return tuple(node for part in function.node.body for node in walk(part))


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            for one in elts:
                yield from _names(one)
        case _:
            if name := dotted(target):
                yield name
