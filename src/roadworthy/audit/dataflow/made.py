"""Whether an expression makes something new, which nobody has stored yet."""

import ast
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Class, Function
from roadworthy.audit.source.nodes import words

__all__ = ["is_new", "is_row"]

_DEEPEST: Final = 2
"""As many functions are looked into: `Meta(title)` may be a function, too."""
_MAKERS: Final = frozenset({"make", "create", "build", "new", "parse"})
"""How functions are named that make what they return; others may load it."""


def is_new(value: ast.expr, function: Function, depth: int = _DEEPEST) -> bool:
    """Return whether writing to what an expression makes overwrites nothing stored."""
    match value:
        case ast.Dict() | ast.DictComp():
            return True
        case ast.Await(value=inner):
            return is_new(inner, function, depth)
        case ast.IfExp(body=body, orelse=orelse):
            return is_new(body, function, depth) and is_new(orelse, function, depth)
        case ast.Call(func=func):
            return _makes(func, function, depth)
        case _:
            return False


def _makes(func: ast.expr, function: Function, depth: int) -> bool:
    ref = names.resolve(func, function)
    if ref is None or ref.is_instance:
        return False
    if ref.function is not None:
        return depth > 0 and _is_maker(ref.function, depth - 1)
    return ref.cls is not None or ref.name.rpartition(".")[2][:1].isupper()


def _is_maker(function: Function, depth: int) -> bool:
    """Return whether a function is named like one that makes things, and does."""
    name = function.name.lstrip("_")
    if not (name[:1].isupper() or not _MAKERS.isdisjoint(words(name)[:1])):
        return False
    values = [getattr(event.node, "value", None) for event in function.flow.returns]
    return bool(values) and all(_is_made(one, function, depth) for one in values)


def _is_made(value: ast.expr | None, function: Function, depth: int) -> bool:
    if isinstance(value, ast.Name):
        given = [one for one in function.names.get(value.id, ()) if isinstance(one, Assigned)]
        return bool(given) and all(_is_made(one.value, function, depth) for one in given)
    return value is not None and is_new(value, function, depth)


def is_row(cls: Class) -> bool:
    """Return whether a class is mapped to a table, so that its objects may be stored."""
    names_ = [base.name for base in names.bases(cls) if base.cls is None]
    mapped = any(one.partition(".")[0] in _MAPPERS for one in names_)
    return mapped or any(isinstance(one, Assigned) for one in cls.names.get("__tablename__", ()))


_MAPPERS: Final = frozenset({"sqlalchemy", "tortoise", "peewee", "django", "flask_sqlalchemy"})
