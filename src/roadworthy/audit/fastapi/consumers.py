"""Functions that no request waits for: consumers of queues, timers and tasks lead to them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.dataflow.started_tasks import left_behind
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import last_name

__all__ = ["is_consumer_s"]

_CONSUMERS: Final = frozenset({"task", "shared_task", "actor", "subscriber"})
"""Decorators of Celery, taskiq, dramatiq and FastStream for what a queue calls."""
_TIMERS: Final = frozenset({"scheduled_job", "repeat_every", "periodic_task", "cron", "on_after"})
"""Decorators of schedulers for what a clock calls."""
_TAKERS: Final = frozenset({"add_task", "add_job", "Thread", "Timer", "Process", "enqueue"})
"""What is given a function, and calls it when nobody waits."""
_PLAIN: Final = frozenset({"staticmethod", "classmethod", "override"})
_MOST: Final = 40
"""As many functions are looked at; more are of all kinds."""


def is_consumer_s(function: Function) -> bool:
    """Return whether every way to a function, by its name, starts where no client waits."""
    waiting, seen, consumes = [function], {function.name}, False
    for one in waiting:  # grows while it is read
        if _is_consumer(one):
            consumes = True
            continue
        used = None if _may_be_called_from_outside(one) else _uses(one)
        if used is None or used.from_outside or len(waiting) > _MOST:
            return False
        consumes |= used.is_started
        new = [user for user in used.functions if user.name not in seen]
        seen.update(user.name for user in new)
        waiting += {id(user): user for user in new}.values()
    return consumes


@dataclass(slots=True)
class _Uses:
    """Where the name of a function is used."""

    functions: list[Function] = field(default_factory=list[Function])
    """Functions that call it, or hand it on."""
    is_started: bool = False
    """Whether it is handed to what runs it with nobody waiting."""
    from_outside: bool = False
    """Whether code outside of functions uses it."""


def _decorators(function: Function) -> set[str]:
    found = function.node.decorator_list
    return {last_name(one.func if isinstance(one, ast.Call) else one) for one in found}


def _is_consumer(function: Function) -> bool:
    return not (_CONSUMERS | _TIMERS).isdisjoint(_decorators(function))


def _may_be_called_from_outside(function: Function) -> bool:
    """Return whether a framework may call it: it is decorated, or has a special name."""
    return not _decorators(function) <= _PLAIN or function.name.startswith("__")


def _uses(function: Function) -> _Uses:
    found = _Uses()
    codebase = function.module.codebase
    for path in codebase.mentioning(function.name.encode()):
        module = codebase.module(path)
        if module is not None:
            _note_uses(function.name, module, found)
    return found


def _note_uses(name: str, module: Module, found: _Uses) -> None:
    started = {id(node) for node in _started(module)}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Name | ast.Attribute) or last_name(node) != name:
            continue
        if id(node) in started:
            found.is_started = True
        elif (around := _around(node, module)) is not None:
            found.functions.append(around)
        else:
            found.from_outside = True


def _started(module: Module) -> Iterator[ast.expr]:
    """Return what is handed to something that runs it with nobody waiting."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and last_name(node.func) in _TAKERS:
            yield from (*node.args[:1], *(one.value for one in node.keywords))
    for function in module.functions:
        yield from (call.func for call in left_behind(function))


def _around(node: ast.expr, module: Module) -> Function | None:
    """Return the innermost function that a node stands in."""
    found = [
        one
        for one in module.functions
        if one.node.lineno <= node.lineno <= (one.node.end_lineno or one.node.lineno)
    ]
    return max(found, key=lambda one: one.node.lineno, default=None)
