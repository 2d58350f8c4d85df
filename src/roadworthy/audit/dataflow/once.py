"""Work that is done the first time only: a client that is made and kept."""

import ast
import sys

from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import same, walk

__all__ = ["is_once"]


def is_once(event: Event, function: Function) -> bool:
    """Return whether something happens only until a value has been made and is kept."""
    tests = (one.node for one in event.blocks("if") if isinstance(one.node, ast.If))
    return any(_is_first_time(one, function) for one in tests) or _comes_after(event, function)


def _is_first_time(node: ast.If, function: Function) -> bool:
    """`if self.client is None:`, and it is given something, or one call is made."""
    kept = _asked_for(node.test, ast.Is)
    if kept is None or not _outlives(kept, function):
        return False
    alone = len(node.body) == 1 and isinstance(node.body[0], ast.Expr)
    return alone or _gives(node.body, kept)


def _comes_after(event: Event, function: Function) -> bool:
    """`if client is not None: return client` stands before."""
    return event.statement.lineno > _kept_from(function)


@remembered
def _kept_from(function: Function) -> int:
    """Return the line after which a function works the first time only."""
    for statement in function.node.body:
        if isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Return):
            kept = _asked_for(statement.test, ast.IsNot)
            if kept is not None and _outlives(kept, function):
                return statement.lineno if _gives(function.node.body, kept) else sys.maxsize
    return sys.maxsize


def _asked_for(test: ast.expr, how: type[ast.cmpop]) -> ast.expr | None:
    """Return what a condition asks for: whether it is there, or whether it is missing."""
    match test:
        case ast.Compare(left=left, ops=[op], comparators=[ast.Constant(value=None)]):
            return left if isinstance(op, how) else None
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand if how is ast.Is else None
        case ast.Name() | ast.Attribute():
            return test if how is ast.IsNot else None
        case _:
            return None


def _outlives(node: ast.expr, function: Function) -> bool:
    """Return whether a value is kept when the function has ended."""
    if isinstance(node, ast.Name):
        declared = (one.node for one in function.flow.globals)
        return any(isinstance(one, ast.Global) and node.id in one.names for one in declared)
    return isinstance(node, ast.Attribute)


def _gives(body: list[ast.stmt], kept: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Assign) and any(same(kept, one) for one in node.targets)
        for statement in body
        for node in walk(statement)
    )
