"""Conditions that must hold, or must not, where some code runs."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function, bodies

__all__ = ["Guard", "guards"]


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """A condition, and whether it holds where the code runs."""

    test: ast.expr
    holds: bool


def guards(event: Event, function: Function) -> Iterator[Guard]:
    """Return what decides whether something happens once its function is called.

    These are the `if` around it, those before it that leave, and within its own statement the
    first operands of `and` and `or`, and the conditions of `x if condition else y`.
    """
    yield from _of_statements(function).get(id(event.statement), ())
    for part in ast.iter_child_nodes(event.statement):
        if not isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _within(part, event.node) or ()


@remembered
def _of_statements(function: Function) -> dict[int, tuple[Guard, ...]]:
    """Return the conditions of each statement of a function, by its identity."""
    found: dict[int, tuple[Guard, ...]] = {}
    waiting: list[tuple[list[ast.stmt], tuple[Guard, ...]]] = [(function.node.body, ())]
    for body, around in waiting:  # grows while it is read
        known = around
        for statement in body:
            found[id(statement)] = known
            waiting += _inner(statement, known)
            known += tuple(_left_over(statement))
    return found


def _inner(
    statement: ast.stmt, known: tuple[Guard, ...]
) -> Iterator[tuple[list[ast.stmt], tuple[Guard, ...]]]:
    if isinstance(statement, ast.If):
        yield statement.body, (*known, Guard(statement.test, holds=True))
        yield statement.orelse, (*known, Guard(statement.test, holds=False))
        return
    for body in bodies(statement):
        yield body, known


def _left_over(statement: ast.stmt) -> Iterator[Guard]:
    """Return what holds after an `if` one of whose branches leaves."""
    if isinstance(statement, ast.If):
        if _leaves(statement.body):
            yield Guard(statement.test, holds=False)
        if _leaves(statement.orelse):
            yield Guard(statement.test, holds=True)


def _leaves(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _within(node: ast.AST, wanted: ast.AST) -> list[Guard] | None:
    """Return the conditions of a part of an expression; None where it is no part of it."""
    if node is wanted:
        return []
    for part, before in _parts(node):
        inner = _within(part, wanted)
        if inner is not None:
            return [*before, *inner]
    return None


def _parts(node: ast.AST) -> Iterator[tuple[ast.AST, list[Guard]]]:
    match node:
        case ast.BoolOp(op=op, values=values):
            holds = isinstance(op, ast.And)
            for number, one in enumerate(values):
                yield one, [Guard(before, holds) for before in values[:number]]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield test, []
            yield body, [Guard(test, holds=True)]
            yield orelse, [Guard(test, holds=False)]
        case _:
            yield from ((child, []) for child in ast.iter_child_nodes(node))
