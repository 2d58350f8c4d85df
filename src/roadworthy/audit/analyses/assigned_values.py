"""What an assignment says of the value that it is given."""

import ast
from dataclasses import replace

from roadworthy.audit.analyses.body_fields import NOTHING, Guards, Held
from roadworthy.audit.source.nodes import is_none

__all__ = ["chosen", "pairs", "set_to_none"]


def chosen(value: Held, given: ast.expr, guards: Guards) -> Held:
    """Return what is left where the code says itself what an empty value becomes.

    `body.note or None` clears what is stored; `body.note or "hidden"` of a branch that
    another field asks for is the text of that action.
    """
    match given:
        case ast.BoolOp(op=ast.Or(), values=[*_, last]) if is_none(last):
            return replace(value, clears=True)
        case ast.IfExp(orelse=last) if is_none(last):
            return replace(value, clears=True)
        case ast.BoolOp(op=ast.Or(), values=[*_, ast.Constant() | ast.JoinedStr()]) if (
            guards.valued - value.every
        ):
            return NOTHING
        case _:
            return value


def set_to_none(body: list[ast.stmt]) -> set[str]:
    """Return the names that a branch sets to None."""
    return {
        target.id
        for one in body
        if isinstance(one, ast.Assign) and is_none(one.value)
        for target in one.targets
        if isinstance(target, ast.Name)
    }


def pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return what is assigned to what: `a, b = x, y` is two assignments."""
    match target, value:
        case ((ast.Tuple(elts=targets) | ast.List(elts=targets)), ast.Tuple(elts=values)) if len(
            targets
        ) == len(values):
            return list(zip(targets, values, strict=True))
        case _:
            return [(target, value)]
