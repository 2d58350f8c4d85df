"""Whether an expression is a value that has some names, or holds it."""

import ast
from collections.abc import Iterable
from typing import Final

__all__ = ["dotted", "holds"]

_PASSING: Final = frozenset({"enumerate", "zip", "reversed", "list", "tuple", "sorted", "iter"})
"""Calls whose result has what they are given."""
_TAKING: Final = frozenset({"get", "getlist", "values", "items", "multi_items"})
"""Methods of collections whose result has what is in them."""


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
        case ast.BinOp(op=ast.Add()):
            return [node.left, node.right]
        case ast.Call(func=ast.Name(id=name)) if name in _PASSING:
            return node.args
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _TAKING:
            return [value]
        case _:
            return []
