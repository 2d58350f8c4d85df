"""Conditions on an exception: which kinds get past, and who asks for texts."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit import caught
from roadworthy.audit.caught import Breadth
from roadworthy.audit.flow import Event
from roadworthy.audit.module import Function
from roadworthy.audit.source.nodes import last_name, words

__all__ = ["is_asked_for", "kinds", "kinds_of"]

_ASKED: Final = frozenset(
    {
        *("debug", "debugging", "verbose", "expose", "exposed", "dev", "develop", "development"),
        *("local", "traceback", "tracebacks"),
    }
)
"""Words in the names of what says that somebody wants to see causes."""


def is_asked_for(test: ast.expr) -> bool:
    """Return whether a condition says that somebody wants to see causes."""
    return any(not _ASKED.isdisjoint(words(name)) for name in _named(test))


def _named(test: ast.expr) -> Iterator[str]:
    """Return the names in a condition, and the constants that stand for settings."""
    for node in ast.walk(test):
        match node:
            case ast.Name() | ast.Attribute():
                yield last_name(node)
            case ast.Call(args=[ast.Constant(value=str() as key), *_]):
                yield key
            case ast.Subscript(slice=ast.Constant(value=str() as key)):
                yield key
            case ast.Compare(comparators=[ast.Constant(value=str() as value)]):
                yield value
            case _:
                pass


def kinds(event: Event, name: str, function: Function) -> Breadth:
    """Return how broad the exceptions are that get to a place in a clause."""
    tests = [block.node.test for block in event.blocks("if") if isinstance(block.node, ast.If)]
    return min((kinds_of(test, name, function) for test in tests), default=Breadth.ALL)


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
