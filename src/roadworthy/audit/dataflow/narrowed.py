"""Conditions on an exception: which kinds get past, and who asks for texts."""

# pyright: reportArgumentType=false

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow import caught
from roadworthy.audit.dataflow.caught import Breadth
from roadworthy.audit.source.module import Function, bodies
from roadworthy.audit.source.nodes import last_name, words

__all__ = ["Condition", "conditions", "is_asked_for", "kinds", "kinds_of"]

_ASKED: Final = frozenset(
    {
        *("debug", "debugging", "verbose", "expose", "exposed", "dev", "develop", "development"),
        *("local", "traceback", "tracebacks", "testing"),
    }
)
"""Words in the names of what says that somebody wants to see causes."""
_PUBLIC: Final = frozenset({"prod", "production", "live"})
"""Words in the names of what says that clients are strangers."""


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What must hold, or must not, where some code runs."""

    test: ast.expr
    holds: bool
    is_exit: bool = False
    """Whether the code comes after an `if` that left, rather than stands in one."""


def conditions(node: ast.AST, body: list[ast.stmt]) -> list[Condition]:
    """Return the conditions under which a statement in some code runs, from without."""
    return next(_ways(node, body), [])  # pyright: ignore[reportUnknownArgumentType]


def _ways(node: ast.AST, body: list[ast.stmt]) -> Iterator[list[Condition]]:
    exits: list[Condition] = []
    for statement in body:
        if statement is node:
            yield exits
            return
        for within, more in _blocks(statement):
            yield from ([*exits, *more, *found] for found in _ways(node, within))
        if isinstance(statement, ast.If) and _leaves(statement.body) and not statement.orelse:
            exits.append(Condition(statement.test, holds=False, is_exit=True))


def _blocks(statement: ast.stmt) -> Iterator[tuple[list[ast.stmt], list[Condition]]]:
    if isinstance(statement, ast.If):
        yield statement.body, [Condition(statement.test, holds=True)]
        yield statement.orelse, [Condition(statement.test, holds=False)]
        return
    for body in bodies(statement):
        yield body, []


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def is_asked_for(test: ast.expr, *, holds: bool = True) -> bool:
    """Return whether a condition says that somebody wants to see causes."""
    return _asks(test) is holds


def _asks(test: ast.expr) -> bool | None:
    """Return whether causes are wanted where a test holds; None where it says neither."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            found = _asks(operand)
            return None if found is None else not found
        case ast.BoolOp(values=values):
            both = isinstance(test.op, ast.And)
            return next((said for one in values if (said := _asks(one)) is both), None)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            said = _said(right) if _said(right) is not None else _said(left)
            negative = isinstance(op, ast.NotEq | ast.IsNot | ast.NotIn) or _is_false(right)
            return said if said is None else said is not negative
        case _:
            return _said(test)


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _said(node: ast.expr) -> bool | None:
    """Return what the names and settings in an expression say: debugging, or production."""
    named = {word for name in _named(node) for word in words(name)}
    if named & _ASKED:
        return True
    return False if named & _PUBLIC else None


def _named(node: ast.expr) -> Iterator[str]:  # noqa: C901 - a table
    """Return the names in an expression, and the constants that stand for settings."""
    match node:
        case ast.Constant(value=str() as value):
            yield value
        case ast.Name():
            yield node.id
        case ast.Attribute(attr=name):
            yield name
        case ast.Call(func=func, args=[ast.Constant(value=str() as key), *_]):
            yield from (last_name(func), key)
        case ast.Call(func=func, args=args):
            yield last_name(func)
            for one in args:
                yield from _named(one)
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            yield key
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for one in parts:
                yield from _named(one)
        case _:
            pass


def kinds(found: list[Condition], name: str, function: Function) -> Breadth:
    """Return how broad the exceptions are for which some conditions hold."""
    held = (one.test for one in found if one.holds)
    return min((kinds_of(test, name, function) for test in held), default=Breadth.ALL)


def kinds_of(test: ast.expr, name: str, function: Function) -> Breadth:
    """Return how broad the exceptions are for which a condition holds."""
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=asked), kind]) if (
            asked == name
        ):
            clause = ast.ExceptHandler(kind, None, [])
            return caught.breadth(clause, function)
        case ast.BoolOp(op=ast.And(), values=values):
            return min(kinds_of(one, name, function) for one in values)
        case _:
            return Breadth.ALL
