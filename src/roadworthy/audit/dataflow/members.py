"""What an object has of a value that it was made with: `Work(file)` has it as `file`."""

import ast
from collections.abc import Collection, Sequence
from typing import Final

from roadworthy.audit.dataflow.expressions import dotted, holds
from roadworthy.audit.dataflow.reach import arguments
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Class, Function
from roadworthy.audit.source.ref import Ref

__all__ = ["members"]

_DEEPEST: Final = 2
"""Objects that are made with objects that are made with the value."""


def members(
    node: ast.expr, known: Collection[str], function: Function, depth: int = _DEEPEST
) -> frozenset[str]:
    """Return the attributes by which an expression has the value: `{"file"}`."""
    match node:
        case ast.Await(value=inner):
            return members(inner, known, function, depth)
        case ast.Name() | ast.Attribute():
            start = f"{dotted(node)}."
            return frozenset(one.removeprefix(start) for one in known if one.startswith(start))
        case ast.Call() if depth:
            return _made(node, known, function, depth - 1)
        case _:
            return frozenset()


def _made(call: ast.Call, known: Collection[str], function: Function, depth: int) -> frozenset[str]:
    """Return the attributes that an object gets by how it is made."""
    if not (call.args or call.keywords):
        return frozenset()
    ref = names.resolve(call.func, function)
    cls = None if ref is None or ref.is_instance else ref.cls
    if ref is None or cls is None:
        return frozenset()
    given = _given(call, cls, ref)
    held: set[str] = {name for name, value in given.items() if holds(value, known)}
    for name, value in given.items():
        held |= {f"{name}.{one}" for one in members(value, known, function, depth)}
    return _kept(held, ref) if held else frozenset()


def _given(call: ast.Call, cls: Class, ref: Ref) -> dict[str, ast.expr]:
    """Return what a class is given, by the names of its parameters, or of its fields."""
    init = names.member(ref, "__init__")
    if init is not None and init.function is not None:
        return arguments(call, init.function, ref)
    fields = [name for name, bindings in cls.names.items() if _is_field(bindings)]
    given = dict(zip(fields, call.args, strict=False))
    return given | {one.arg: one.value for one in call.keywords if one.arg is not None}


def _is_field(bindings: Sequence[object]) -> bool:
    return any(isinstance(one, Assigned) and one.annotation is not None for one in bindings)


def _kept(held: set[str], ref: Ref) -> frozenset[str]:
    """Return the attributes that a class keeps its parameters in."""
    init = names.member(ref, "__init__")
    if init is None or init.function is None:
        return frozenset(held)
    found: set[str] = set()
    for name, value, _ in init.function.flow.self_assigned:
        if holds(value, held):
            found.add(name)
        elif value is not None:
            start = f"{dotted(value)}."
            found |= {f"{name}.{one[len(start) :]}" for one in held if one.startswith(start)}
    return frozenset(found)
