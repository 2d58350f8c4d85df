"""Conditions and calls that refuse a name which leads out of a folder."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.source import loggers, names
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, words

__all__ = ["is_check", "refused"]

_METHODS: Final = frozenset(
    {"is_relative_to", "startswith", "isalnum", "isidentifier", "isalpha", "isdigit", "relative_to"}
)
"""Methods that are true of a name, or a path, that leads nowhere else."""
_NOTHING: Final = frozenset({"len", "bool", "isinstance", "type", "print", "str", "exists"})
"""Functions that say nothing of where a name leads."""
_VERBS: Final = frozenset({"check", "validate", "ensure", "verify", "assert", "require"})


def refused(node: ast.If | ast.Assert) -> Iterator[ast.expr]:
    """Return what a statement refuses, or goes on with, for what its name is."""
    leaves = isinstance(node, ast.If) and isinstance(
        node.body[-1], ast.Raise | ast.Return | ast.Continue
    )
    yield from _proven(node.test, holds=True, leaves=leaves)


def _proven(test: ast.expr, *, holds: bool, leaves: bool) -> Iterator[ast.expr]:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _proven(operand, holds=not holds, leaves=leaves)
        case ast.BoolOp(values=values):
            for one in values:
                yield from _proven(one, holds=holds, leaves=leaves)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield from _compared(left, op, right, holds=holds, leaves=leaves)
        case ast.Call(func=ast.Name(id="any"), args=[ast.GeneratorExp(elt=inner)]) if leaves:
            yield from _proven(inner, holds=holds, leaves=leaves)
        case ast.Call():
            if leaves or holds:
                yield from _asked(test)
        case _:
            pass


def _compared(
    left: ast.expr, op: ast.cmpop, right: ast.expr, *, holds: bool, leaves: bool
) -> Iterator[ast.expr]:
    """`"/" in name`, `name not in KNOWN`, `Path(name).name != name`, `commonpath(…) != base`."""
    known = isinstance(op, ast.In | ast.Eq | ast.Is) is holds
    if isinstance(op, ast.In | ast.NotIn):
        yield right if leaves is known else left  # what must not have it, or must be in it
    elif isinstance(op, ast.Eq | ast.NotEq) and leaves is not known:
        for one in (left, right):
            yield from _asked(one) if isinstance(one, ast.Call) else _pieces(one)


def _pieces(node: ast.expr) -> Iterator[ast.expr]:
    """`path.parent` and `Path(name).name` are compared: so what they are of is known."""
    if isinstance(node, ast.Attribute) and node.attr in {"name", "parent"}:
        yield node.value


def _asked(call: ast.Call) -> Iterator[ast.expr]:
    """Return what a call in a condition asks about."""
    name = last_name(call.func)
    if isinstance(call.func, ast.Attribute) and name in _METHODS:
        yield call.func.value
        if isinstance(call.func.value, ast.Call):  # `str(path).startswith(…)`
            yield from call.func.value.args
        return
    if name in _NOTHING or name in {"endswith", "get"}:
        return
    yield from call.args
    for one in call.args:
        if isinstance(one, ast.List | ast.Tuple):  # `os.path.commonpath([base, path])`
            yield from one.elts


def is_check(call: ast.Call, function: Function) -> bool:
    """Return whether a call raises for a name that leads out of a folder."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "relative_to":
        return True
    name = last_name(call.func)
    ref = names.resolve(call.func, function)
    if ref is not None and (ref.function is not None or ref.name.startswith("builtins.")):
        return False
    if isinstance(call.func, ast.Attribute) and loggers.is_log(call.func.value, function):
        return False
    return not _VERBS.isdisjoint(words(name))
