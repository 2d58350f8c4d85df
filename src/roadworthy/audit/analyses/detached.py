"""Functions that run apart from requests: no client gets what they raise."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.starters import Runs, has_starter_name, may_start
from roadworthy.audit.fastapi.consumers import is_consumer_s
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import last_name, same, walk

__all__ = ["is_unused", "no_client_waits", "runs_apart"]

_LEFT: Final = (Runs.TASK, Runs.AFTERWARDS, Runs.EXECUTOR)
"""Kinds of work that a function may leave behind."""
_PATH: Final = re.compile(r"[.:]")
"""What stands between the parts of `shop.tasks:start`."""


def no_client_waits(function: Function) -> bool:
    """Return whether no request gets what a function raises: a task, or a queue, runs it."""
    return runs_apart(function) or is_consumer_s(function)


def runs_apart(function: Function) -> bool:
    """Return whether a function is started as a task by its file, and not called.

    A function that nobody calls runs in no request either.
    """
    module = function.module
    if is_unused(function):
        return True
    if not may_start(module.source, *_LEFT) or route_of(function) is not None:
        return False
    started = False
    for scope in module.functions:
        starters = [one for one in scope.flow.calls if _is_left(one, scope)]
        inside = {id(node) for one in starters for node in walk(one.node)}
        started |= any(_mentions(one.node, function, scope) for one in starters)
        others = (one.node.func for one in scope.flow.calls if id(one.node) not in inside)
        if any(_is(func, function, scope) for func in others):
            return False
    return started


def is_unused(function: Function) -> bool:
    """Return whether no code of the service names a function of a module.

    Tests do not count. Decorators may hand a function on, and frameworks call methods: those
    are never said to be unused. A call by name, `run("tasks.start")`, is a use of it; docstrings,
    comments and other texts that hold the name are none.
    """
    module = function.module
    if not isinstance(function.outer, Module) or function.node.decorator_list:
        return False
    return function.name not in _named_in(module) and not _is_named_elsewhere(function)


def _is_named_elsewhere(function: Function) -> bool:
    """Return whether another file of the service names a function; few files are parsed."""
    codebase = function.module.codebase
    for path in codebase.naming(function.name, function.module.path):
        module = codebase.module(path)
        if module is not None and function.name in _named_in(module):
            return True
    return False


@remembered
def _named_in(module: Module) -> frozenset[str]:
    """Return the names that code of a module reads, imports, or takes as an attribute."""
    return frozenset(name for node in walk(module.tree) for name in _names(node))


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.ImportFrom(names=taken):
            return [one.name for one in taken]
        case ast.Call(args=[ast.Constant(value=str() as path), *_]):
            return [_PATH.split(path)[-1]]
        case _:
            return []


def _is_left(call: Call, scope: Function) -> bool:
    """Return whether a call starts something that nobody in the function waits for."""
    name = last_name(call.node.func)
    if not has_starter_name(name, *_LEFT) or call.awaited:
        return False
    if call.dropped or has_starter_name(name, Runs.AFTERWARDS):
        return True
    held: list[ast.expr] = getattr(call.statement, "targets", [])
    waited_for = [node for event in scope.flow.awaits for node in walk(event.node)]
    return bool(held) and not any(same(one, node) for one in held for node in waited_for)


def _mentions(node: ast.AST, function: Function, scope: Function) -> bool:
    return any(_is(part, function, scope) for part in _named(node))


def _named(node: ast.AST) -> Iterator[ast.expr]:
    for part in walk(node):
        if isinstance(part, ast.Name | ast.Attribute):
            yield part


def _is(node: ast.expr, function: Function, scope: Function) -> bool:
    if last_name(node) != function.name:
        return False
    found = names.resolve(node, scope)
    return found is not None and found.function is function
