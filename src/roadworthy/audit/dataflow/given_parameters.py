"""Whether anybody gives a function's parameter a value at all."""

import ast
from collections.abc import Iterator

from roadworthy.audit.source.module import Function, Param
from roadworthy.audit.source.nodes import is_none, last_name, walk

__all__ = ["is_always_none"]


def is_always_none(name: str, function: Function) -> bool:
    """Return whether a function is called, and a parameter is None in every call."""
    param = function.param(name)
    if param is None or not is_none(param.default) or function.node.decorator_list:
        return False
    found = list(_mentions(function))
    calls = [one for one in found if isinstance(one, ast.Call)]
    if not calls or len(calls) != len(found):
        return False
    return not any(_may_fill(one, param, function) for one in calls)


def _mentions(function: Function) -> Iterator[ast.AST]:
    """Return the calls of a function, or that are given it, and other uses of its name."""
    codebase = function.module.codebase
    for path in codebase.naming(function.name, function.module.path):
        module = codebase.module(path)
        nodes = [] if module is None else list(walk(module.tree))
        inside: set[int] = set()
        for node in nodes:
            named = _named(node, function.name) if isinstance(node, ast.Call) else []
            if named:
                inside.update(map(id, named))
                yield node
        yield from (one for one in nodes if _is(one, function.name) and id(one) not in inside)


def _named(call: ast.Call, name: str) -> list[ast.expr]:
    return [one for one in (call.func, *call.args) if _is(one, name)]


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and last_name(node) == name


def _may_fill(call: ast.Call, param: Param, function: Function) -> bool:
    """Return whether a call may give a parameter something other than None."""
    named = [one for one in call.keywords if one.arg in {param.name, None}]
    if named:
        return not all(one.arg is not None and is_none(one.value) for one in named)
    keyword_only = {one.arg for one in function.node.args.kwonlyargs}
    if any(isinstance(one, ast.Starred) for one in call.args):
        return True
    own = [one.name for one in function.params]
    return param.name not in keyword_only and len(call.args) > own.index(param.name)
