"""Functions that only the consumers of a queue lead to."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import last_name

__all__ = ["is_consumer_s"]

_CONSUMERS: Final = frozenset({"task", "shared_task", "actor", "subscriber"})
"""Decorators of Celery, taskiq, dramatiq and FastStream for what a queue calls."""
_PLAIN: Final = frozenset({"staticmethod", "classmethod", "override"})
_MOST: Final = 40
"""As many functions are looked at; more are of all kinds."""


def is_consumer_s(function: Function) -> bool:
    """Return whether every way to a function, by its name, starts in a consumer."""
    waiting, seen, consumes = [function], {function.name}, False
    for one in waiting:  # grows while it is read
        if _is_consumer(one):
            consumes = True
            continue
        users = None if _may_be_called_from_outside(one) else list(_users(one))
        if users is None or None in users or len(waiting) > _MOST:
            return False
        new = [user for user in users if user is not None and user.name not in seen]
        seen.update(user.name for user in new)
        waiting += {id(user): user for user in new}.values()
    return consumes


def _decorators(function: Function) -> set[str]:
    found = function.node.decorator_list
    return {last_name(one.func if isinstance(one, ast.Call) else one) for one in found}


def _is_consumer(function: Function) -> bool:
    return not _CONSUMERS.isdisjoint(_decorators(function))


def _may_be_called_from_outside(function: Function) -> bool:
    """Return whether a framework may call it: it is decorated, or has a special name."""
    return not _decorators(function) <= _PLAIN or function.name.startswith("__")


def _users(function: Function) -> Iterator[Function | None]:
    """Return the functions that use its name; None for code outside of functions."""
    codebase = function.module.codebase
    for path in codebase.mentioning(function.name.encode()):
        module = codebase.module(path)
        for node in () if module is None else ast.walk(module.tree):
            if isinstance(node, ast.Name | ast.Attribute) and last_name(node) == function.name:
                yield None if module is None else _around(node, module)


def _around(node: ast.expr, module: Module) -> Function | None:
    """Return the innermost function that a node stands in."""
    found = [
        one
        for one in module.functions
        if one.node.lineno <= node.lineno <= (one.node.end_lineno or one.node.lineno)
    ]
    return max(found, key=lambda one: one.node.lineno, default=None)
