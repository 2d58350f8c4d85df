"""Branches that no value of a parameter's declared type gets to."""

import ast
from collections import defaultdict
from collections.abc import Iterator

from roadworthy.audit.source import annotations, names
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.module import Function, Scope

__all__ = ["is_ruled_out"]


def is_ruled_out(event: Event, function: Function) -> bool:
    """Return whether tests before something leave no declared type of a parameter.

    With `data: bytes | Path`, nothing gets to the `else` after `isinstance(data, Path)` and
    `isinstance(data, bytes)`.
    """
    left: dict[str, set[str]] = defaultdict(set)
    for block in event.blocks("else"):
        if isinstance(block.node, ast.If) and (tested := _tested(block.node.test, function)):
            name, kinds = tested
            left[name] |= kinds
    return any(_covers(kinds, name, function) for name, kinds in left.items())


def _tested(test: ast.expr, function: Function) -> tuple[str, set[str]] | None:
    """Return the name and the types of `isinstance(name, types)`."""
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kinds]):
            listed = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
            found = [one for kind in listed for one in _kinds(kind, function)]
            return name, set(found) - {""}
        case _:
            return None


def _covers(kinds: set[str], name: str, function: Function) -> bool:
    param = function.param(name)
    if param is None or name in function.names:  # given another value
        return False
    annotation, scope, _ = annotations.unwrap(param.annotation, function.around)
    return annotation is not None and kinds.issuperset(_kinds(annotation, scope))


def _kinds(node: ast.expr, scope: Scope) -> Iterator[str]:
    """Return the names of the types of a union; empty for one that is not known."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _kinds(left, scope)
            yield from _kinds(right, scope)
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)) if _is_union(value, scope):
            for one in parts:
                yield from _kinds(one, scope)
        case ast.Name() | ast.Attribute():
            found = names.resolve(node, scope)
            yield "" if found is None else found.name
        case _:
            yield ""


def _is_union(node: ast.expr, scope: Scope) -> bool:
    found = names.resolve(node, scope)
    return found is not None and found.name == "typing.Union"
