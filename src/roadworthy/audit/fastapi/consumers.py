"""Functions that no request waits for: consumers of queues, timers and tasks lead to them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.dataflow.started_tasks import left_behind
from roadworthy.audit.dataflow.starters import Runs, may_start
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import children, last_name

__all__ = ["is_consumer_s"]

_CONSUMERS: Final = frozenset({"task", "shared_task", "actor", "subscriber"})
"""Decorators of Celery, taskiq, dramatiq and FastStream for what a queue calls."""
_TIMERS: Final = frozenset({"scheduled_job", "repeat_every", "periodic_task", "cron", "on_after"})
"""Decorators of schedulers for what a clock calls."""
_TAKERS: Final = frozenset({"add_task", "add_job", "Thread", "Timer", "Process", "enqueue"})
"""What is given a function, and calls it when nobody waits."""
_PLAIN: Final = frozenset({"staticmethod", "classmethod", "override"})
_MOST: Final = 40
"""As many functions and files are looked at; more are of all kinds."""


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

    def note(self, around: Function | None, *, is_started: bool) -> None:
        """Add one use, in a function or outside of any."""
        if is_started:
            self.is_started = True
        elif around is None:
            self.from_outside = True
        elif around not in self.functions:
            self.functions.append(around)

    def add(self, other: "_Uses") -> None:
        """Add the uses that another module has."""
        self.functions += other.functions
        self.is_started |= other.is_started
        self.from_outside |= other.from_outside


def _decorators(function: Function) -> set[str]:
    found = function.node.decorator_list
    return {last_name(one.func if isinstance(one, ast.Call) else one) for one in found}


def _is_consumer(function: Function) -> bool:
    return not (_CONSUMERS | _TIMERS).isdisjoint(_decorators(function))


def _may_be_called_from_outside(function: Function) -> bool:
    """Return whether a framework may call it: it is decorated, or has a special name."""
    return not _decorators(function) <= _PLAIN or function.name.startswith("__")


def _uses(function: Function) -> _Uses | None:
    """Return where the service uses a function's name; None where it is in too many files."""
    name, codebase = function.name, function.module.codebase
    own = _uses_in(function.module, name)
    if own.from_outside:
        return own
    paths = codebase.naming(name, function.module.path)
    if len(paths) > _MOST:
        return None
    found = _Uses()
    for module in map(codebase.module, paths):
        if module is not None:
            found.add(_uses_in(module, name))
        if found.from_outside:
            break
    return found


@remembered
def _uses_in(module: Module, name: str) -> _Uses:
    """Return where a module uses a name, by a walk through the statements that hold it."""
    parts = list(_near(module, name))
    started = {id(one) for node, _ in parts for one in _started(node)} | _left_behind(module)
    found = _Uses()
    for node, around in parts:
        if isinstance(node, ast.Name | ast.Attribute) and last_name(node) == name:
            found.note(around, is_started=id(node) in started)
    return found


def _near(module: Module, name: str) -> Iterator[tuple[ast.AST, Function | None]]:
    """Return the nodes of the statements in whose lines a name stands, with their functions."""
    word = name.encode()
    lines = [at for at, line in enumerate(module.source.splitlines(), 1) if word in line]
    functions = _functions(module)
    waiting: list[tuple[ast.AST, Function | None]] = [(module.tree, None)]
    for node, around in waiting:  # grows while it is read
        yield node, around
        inside = functions.get(id(node), around)
        outside: list[ast.expr] = getattr(node, "decorator_list", [])
        waiting += [
            (child, around if child in outside else inside)
            for child in children(node)
            if not isinstance(child, ast.stmt) or _stands_in(child, lines)
        ]


def _stands_in(statement: ast.stmt, lines: list[int]) -> bool:
    outside: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(one.lineno for one in outside)])
    last = statement.end_lineno or first
    return any(first <= line <= last for line in lines)


@remembered
def _functions(module: Module) -> dict[int, Function]:
    return {id(one.node): one for one in module.functions}


def _started(node: ast.AST) -> Iterator[ast.expr]:
    """Return what a call hands to something that runs it with nobody waiting."""
    if isinstance(node, ast.Call) and last_name(node.func) in _TAKERS:
        yield from (*node.args[:1], *(one.value for one in node.keywords))


@remembered
def _left_behind(module: Module) -> frozenset[int]:
    """Return the functions of calls, by their ids, that are started as tasks of asyncio."""
    if not may_start(module.source, Runs.TASK):
        return frozenset()
    return frozenset(
        id(call.func) for function in module.functions for call in left_behind(function)
    )
