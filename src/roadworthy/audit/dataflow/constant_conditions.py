"""Conditions that never hold where a function is called, as its arguments tell."""

import ast
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from roadworthy.audit.dataflow import reach
from roadworthy.audit.dataflow.guards import guards
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.dataflow.unreachable_branches import is_ruled_out
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.module import Function

__all__ = ["is_taken", "never_holds", "switches"]

_SWITCHES: Final = (bool, type(None), str, int)
"""Types of constants that conditions ask for."""


def is_taken(reached: Reached) -> bool:
    """Return whether a call may be made, as far as its callers and types tell."""
    if is_ruled_out(reached.call, reached.scope):
        return False
    if not reached.chain:
        return True
    return _may_be(reached.call, reached.scope, _given(reached.chain, reached.scope))


def never_holds(test: ast.expr, function: Function, chain: Sequence[Reached]) -> bool:
    """Return whether a condition is false where a chain of calls leads to it."""
    return _holds(test, _given(chain, function)) is False


def switches(reached: Reached, function: Function) -> Hashable:
    """Return what turns parts of a called function on or off: a call with others differs."""
    known = _given((*reached.chain, reached), function)
    return frozenset(one for one in known.items() if isinstance(one[1], _SWITCHES))


def _given(chain: Sequence[Reached], function: Function) -> Mapping[str, object]:
    """Return the parameters of the last function that the calls before it make constants."""
    known: dict[str, object] = {}
    called = (*(one.scope for one in chain), function)[1:]
    for outer, inner in zip(chain, called, strict=True):
        if outer.constants is None:
            outer.constants = _known(outer, inner, known)
        known = outer.constants
    return known


def _known(outer: Reached, function: Function, before: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters that are constants where a call is made, or handed on as such."""
    changed = set(function.names)
    given = reach.arguments(outer.call.node, function, outer.ref)
    spread = any(one.arg is None for one in outer.call.node.keywords)
    known: dict[str, object] = {}
    for param in function.params:
        value = given.get(param.name, None if spread else param.default)
        if param.name in changed:
            continue
        if isinstance(value, ast.Constant):
            known[param.name] = value.value
        elif isinstance(value, ast.Name) and value.id in before:
            known[param.name] = before[value.id]
    return known


def _may_be(event: Event, function: Function, known: Mapping[str, object]) -> bool:
    if not known:
        return True
    return all(_holds(one.test, known) in {None, one.holds} for one in guards(event, function))


def _holds(test: ast.expr, known: Mapping[str, object]) -> bool | None:
    """Return whether a condition holds, or None where that is not known."""
    match test:
        case ast.Name(id=name) if name in known:
            return bool(known[name])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _holds(operand, known)
            return None if inner is None else not inner
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]) if name in known:
            return _compares(known[name], op, right)
        case ast.BoolOp(op=op, values=values):
            ends = isinstance(op, ast.Or)
            return ends if any(_holds(one, known) is ends for one in values) else None
        case _:
            return None


def _compares(value: object, op: ast.cmpop, right: ast.expr) -> bool | None:
    """Return what comparing a constant with others says, or None where that is not known."""
    parts = right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]
    others = [one.value for one in parts if isinstance(one, ast.Constant)]
    if len(others) < len(parts):
        return None
    match op, right:
        case ast.Is() | ast.Eq(), ast.Constant():
            return value == others[0]
        case ast.IsNot() | ast.NotEq(), ast.Constant():
            return value != others[0]
        case ast.In(), ast.Tuple() | ast.List() | ast.Set():
            return value in others
        case ast.NotIn(), ast.Tuple() | ast.List() | ast.Set():
            return value not in others
        case _:
            return None
