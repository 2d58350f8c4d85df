"""Entries of dicts and lists: what they are declared as, and written out with."""

import ast
from typing import Final

from roadworthy.audit.source import annotations, libraries, names
from roadworthy.audit.source.module import Assigned, Function, Scope

__all__ = ["annotation_of", "dicts_of", "entry", "values_of"]

_DEEPEST: Final = 6
"""Names and entries between a dict and where it is written out."""
_TAKING: Final = frozenset({"get", "pop", "setdefault", "__getitem__"})


def annotation_of(
    node: ast.expr | None, scope: Scope, depth: int = _DEEPEST
) -> tuple[ast.expr, Scope] | None:
    """Return what the code declares an expression to be, entries of collections too."""
    if node is None or not depth:
        return None
    if (owner := entry(node)) is not None:
        outer = annotation_of(owner, scope, depth - 1)
        return None if outer is None else values_of(*outer)
    found = _parameter(node, scope)
    if found is not None:
        return found
    made = annotations.definition(node, scope)
    if made is None:
        return _looped(node, scope, depth)
    assigned, where = made
    if assigned.annotation is not None:
        return assigned.annotation, where
    return annotation_of(assigned.value, where, depth - 1)


def values_of(annotation: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """Return what a collection is declared to hold: `Book` of `dict[str, Book]`."""
    inner, where, _ = annotations.unwrap(annotation, scope)
    if not isinstance(inner, ast.Subscript):
        return None
    base = names.resolve(inner.value, where)
    if base is None or base.name not in libraries.COLLECTIONS:
        return None
    parts = inner.slice.elts if isinstance(inner.slice, ast.Tuple) else [inner.slice]
    return parts[-1], where


def dicts_of(node: ast.expr | None, scope: Scope, depth: int = _DEEPEST) -> tuple[ast.Dict, ...]:
    """Return the dicts that an expression is written out as, or may be one of."""
    if node is None or not depth:
        return ()
    if isinstance(node, ast.Dict):
        return (node,)
    if (owner := entry(node)) is not None:
        return tuple(
            one
            for value in _written_out(owner, scope, depth - 1)
            for one in dicts_of(value, scope, depth - 1)
        )
    made = annotations.definition(node, scope)
    if made is None:
        looped = _loop(node, scope)
        return () if looped is None else dicts_of(_any_of(looped), scope, depth - 1)
    return dicts_of(made[0].value, made[1], depth - 1)


def _written_out(node: ast.expr, scope: Scope, depth: int) -> list[ast.expr]:
    """Return the entries that a collection is written out with."""
    match node:
        case ast.Dict(values=values):
            return values
        case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts):
            return elts
        case _:
            made = annotations.definition(node, scope) if depth else None
            if made is None or made[0].value is None:
                return []
            return _written_out(made[0].value, made[1], depth - 1)


def entry(node: ast.expr) -> ast.expr | None:
    """Return the collection that an expression takes an entry out of."""
    match node:
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return entry(value)
        case ast.Subscript(value=value):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _TAKING:
            return value
        case ast.Call(func=ast.Name(id="next"), args=[ast.GeneratorExp() as made, *_]):
            return made.generators[0].iter if _passes_on(made) else None
        case _:
            return None


def _passes_on(made: ast.GeneratorExp) -> bool:
    """Return whether `(b for b in books if ...)` gives entries as they are."""
    target = made.generators[0].target
    return (
        isinstance(made.elt, ast.Name) and isinstance(target, ast.Name) and made.elt.id == target.id
    )


def _any_of(collection: ast.expr) -> ast.expr:
    """Return an entry of what a loop goes over; of `books.values()`, one of `books`."""
    match collection:
        case ast.Call(func=ast.Attribute(value=value, attr="values"), args=[]):
            collection = value
        case _:
            pass
    return ast.Subscript(collection, ast.Constant(0), ast.Load())


def _parameter(node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    if not isinstance(node, ast.Name) or not isinstance(scope, Function):
        return None
    param = scope.param(node.id)
    if param is None or param.annotation is None:
        return None
    return param.annotation, scope.around


def _loop(node: ast.expr, scope: Scope) -> ast.expr | None:
    """Return what the loop that binds a name goes over."""
    if not isinstance(node, ast.Name):
        return None
    for binding in scope.names.get(node.id, ()):
        if isinstance(binding, Assigned) and binding.how == "for":
            return binding.value
    return None


def _looped(node: ast.expr, scope: Scope, depth: int) -> tuple[ast.expr, Scope] | None:
    looped = _loop(node, scope)
    return None if looped is None else annotation_of(_any_of(looped), scope, depth - 1)
