"""Functions that run apart from requests: no client gets what they raise."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import same

__all__ = ["is_unused", "runs_apart"]

_STARTERS: Final = frozenset({"create_task", "ensure_future", "add_task", "run_in_executor"})


def runs_apart(function: Function) -> bool:
    """Return whether a function is started as a task by its file, and not called.

    A function that nobody calls runs in no request either.
    """
    module = function.module
    if is_unused(function):
        return True
    if not any(name.encode() in module.source for name in _STARTERS):
        return False
    if route_of(function) is not None:
        return False
    started = False
    for scope in module.functions:
        starters = [one for one in scope.flow.calls if _is_left(one, scope)]
        inside = {id(node) for one in starters for node in ast.walk(one.node)}
        started |= any(_mentions(one.node, function, scope) for one in starters)
        others = (one.node.func for one in scope.flow.calls if id(one.node) not in inside)
        if any(_is(func, function, scope) for func in others):
            return False
    return started


def is_unused(function: Function) -> bool:
    """Return whether no code of the service names a function of a module.

    Tests do not count. Decorators may hand a function on, and frameworks call methods: those
    are never said to be unused.
    """
    module = function.module
    if not isinstance(function.outer, Module) or function.node.decorator_list:
        return False
    name = function.name.encode()
    pattern = rb"\b" + re.escape(name) + rb"\b"
    elsewhere = module.codebase.mentioning(name, pattern)
    return elsewhere in ([], [module.path]) and len(re.findall(pattern, module.source)) == 1


def _is_left(call: Call, scope: Function) -> bool:
    """Return whether a call starts something that nobody in the function waits for."""
    name = getattr(call.node.func, "attr", getattr(call.node.func, "id", ""))
    if name not in _STARTERS or call.awaited:
        return False
    if call.dropped or name == "add_task":
        return True
    held: list[ast.expr] = getattr(call.statement, "targets", [])
    waited_for = [node for event in scope.flow.awaits for node in ast.walk(event.node)]
    return bool(held) and not any(same(one, node) for one in held for node in waited_for)


def _mentions(node: ast.AST, function: Function, scope: Function) -> bool:
    return any(_is(part, function, scope) for part in _named(node))


def _named(node: ast.AST) -> Iterator[ast.expr]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.Attribute):
            yield part


def _is(node: ast.expr, function: Function, scope: Function) -> bool:
    if getattr(node, "attr", getattr(node, "id", "")) != function.name:
        return False
    found = names.resolve(node, scope)
    return found is not None and found.function is function
