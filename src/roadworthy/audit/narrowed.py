"""Conditions on an exception: which kinds get past, and who asks for texts."""

import ast
import re
from typing import Final

from roadworthy.audit import caught
from roadworthy.audit.caught import Breadth
from roadworthy.audit.flow import Event
from roadworthy.audit.module import Function

__all__ = ["is_asked_for", "kinds", "kinds_of"]

_ASKED: Final = re.compile(r"debug|verbose|expose|is_dev|development|is_local")


def is_asked_for(test: ast.expr) -> bool:
    """Return whether a condition says that somebody wants to see causes."""
    return _ASKED.search(ast.unparse(test).lower()) is not None


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
