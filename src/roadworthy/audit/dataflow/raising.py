"""Code that always ends with an error, whichever of its branches is taken."""

import ast
from collections.abc import Iterator

from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.module import Function, bodies

__all__ = ["error_after"]


def error_after(event: Event, function: Function) -> ast.Raise | None:
    """Return an error that is raised whenever something has happened, if one always is.

    Branches may raise different ones: the first is returned. What a `try` around it catches
    is none, and neither is what follows a way out of the function.
    """
    if any(event.tries()) or any(event.blocks("loop")):
        return None
    for following in _following(event.statement, function.node.body):
        error, leaves = _first(following)
        if error is not None or leaves:
            return error
    return None


def _following(wanted: ast.stmt, body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Return what follows a statement in its block, and then in those around it."""
    for number, statement in enumerate(body):
        inner = [found for one in bodies(statement) for found in _following(wanted, one)]
        if statement is wanted or inner:
            yield from inner
            yield body[number + 1 :]
            return


def _first(body: list[ast.stmt]) -> tuple[ast.Raise | None, bool]:
    """Return the error that some statements always end with, and whether they may leave."""
    for statement in body:
        error = _always(statement)
        if error is not None:
            return error, True
        if any(isinstance(node, ast.Return | ast.Break | ast.Continue) for node in _own(statement)):
            return None, True
    return None, False


def _always(statement: ast.stmt) -> ast.Raise | None:
    """Return the error that a statement raises in each of its branches; None where one does not."""
    match statement:
        case ast.Raise():
            return statement
        case ast.If(body=body, orelse=orelse):
            first, second = _first(body)[0], _first(orelse)[0]
            return first if second is not None else None
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return _first(body)[0]
        case ast.Try(handlers=[]) | ast.Try(finalbody=[ast.Raise(), *_]):
            return _first(statement.body)[0] or _first(statement.finalbody)[0]
        case ast.Match(cases=cases) if _has_rest(cases):
            errors = [_first(case.body)[0] for case in cases]
            return errors[0] if None not in errors else None
        case _:
            return None


def _has_rest(cases: list[ast.match_case]) -> bool:
    last = cases[-1]
    return last.guard is None and isinstance(last.pattern, ast.MatchAs) and not last.pattern.pattern


def _own(statement: ast.stmt) -> Iterator[ast.AST]:
    """Return the parts of a statement, without functions that are defined in it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    yield statement
    for body in bodies(statement):
        for one in body:
            yield from _own(one)
