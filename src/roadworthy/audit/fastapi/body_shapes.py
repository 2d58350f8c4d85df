"""Which members the body of an answer has, followed through helpers and models."""

import ast
from typing import Final, TypeAlias

from roadworthy.audit.dataflow.statuses import argument, response_status
from roadworthy.audit.fastapi.models import fields, is_model
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import last_name

__all__ = ["Members", "members_of_answer"]

Members: TypeAlias = frozenset[str] | None
"""Names of members; None where the code does not tell."""

_DEEPEST: Final = 2
"""As many helpers are looked into."""
_DUMPS: Final = frozenset({"dict", "model_dump"})


def members_of_answer(value: ast.expr | None, function: Function) -> Members:
    """Return the members of the body that a response, made in a `return`, has."""
    if not isinstance(value, ast.Call) or response_status(value, function) is None:
        return None
    return _members(argument(value, "content", 0), function, _DEEPEST)


def _members(node: ast.expr | None, function: Function, depth: int) -> Members:
    match node:
        case ast.Dict(keys=keys):
            told = [key.value for key in keys if isinstance(key, ast.Constant)]
            return frozenset(map(str, told)) if len(told) == len(keys) else None
        case ast.Name(id=name):
            bound = [one for one in function.names.get(name, ()) if isinstance(one, Assigned)]
            made = bound[0].value if bound and bound[0].how == "=" else None
            return None if isinstance(made, ast.Name) else _members(made, function, depth)
        case ast.Call():
            return _of_call(node, function, depth)
        case _:
            return None


def _of_call(call: ast.Call, function: Function, depth: int) -> Members:
    func = call.func
    if isinstance(func, ast.Attribute) and func.attr in _DUMPS:
        return _of_model(func.value, function, depth)
    if last_name(func) == "jsonable_encoder" and call.args:
        return _members(call.args[0], function, depth)
    return _of_model(call, function, depth)


def _of_model(node: ast.expr, function: Function, depth: int) -> Members:
    """Return the fields of a model that an expression makes, or the members a helper gives."""
    made = names.resolve(node, function)
    if made is not None and made.cls is not None and made.is_instance and is_model(made):
        return frozenset(fields(made.cls))
    called = names.resolve(node.func, function) if isinstance(node, ast.Call) else None
    if called is None or called.function is None or not depth:
        return None
    inside = called.function
    values = [getattr(event.node, "value", None) for event in inside.flow.returns]
    found = [_members(value, inside, depth - 1) for value in values]
    if not found or any(one is None for one in found):
        return None
    return frozenset[str].intersection(*(one for one in found if one is not None))
