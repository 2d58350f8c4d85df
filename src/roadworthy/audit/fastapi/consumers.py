"""Functions that no request waits for: consumers of queues, timers and tasks lead to them."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.dataflow.started_tasks import left_behind
from roadworthy.audit.dataflow.starters import Runs, may_start
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function, Module
from roadworthy.audit.source.nodes import children, last_name, walk

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


_NOWHERE: Final = _Uses()


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
    own = _uses_in(function.module).get(name, _NOWHERE)
    if own.from_outside:
        return own
    paths = codebase.naming(name, function.module.path)
    if len(paths) > _MOST:
        return None
    found = _Uses()
    for module in map(codebase.module, paths):
        if module is not None:
            found.add(_uses_in(module).get(name, _NOWHERE))
        if found.from_outside:
            break
    return found


@remembered
def _uses_in(module: Module) -> dict[str, _Uses]:
    """Return where a module uses each name, by one walk through its tree."""
    started = {id(node) for node in _started(module)}
    functions = {id(one.node): one for one in module.functions}
    found: dict[str, _Uses] = defaultdict(_Uses)
    waiting: list[tuple[ast.AST, Function | None]] = [(module.tree, None)]
    for node, around in waiting:  # grows while it is read
        if isinstance(node, ast.Name | ast.Attribute):
            found[last_name(node)].note(around, is_started=id(node) in started)
        inside = functions.get(id(node), around)
        outside: list[ast.expr] = getattr(node, "decorator_list", [])
        waiting += [(child, around if child in outside else inside) for child in children(node)]
    return dict(found)


def _started(module: Module) -> Iterator[ast.expr]:
    """Return what is handed to something that runs it with nobody waiting."""
    for node in walk(module.tree):
        if isinstance(node, ast.Call) and last_name(node.func) in _TAKERS:
            yield from (*node.args[:1], *(one.value for one in node.keywords))
    if may_start(module.source, Runs.TASK):
        for function in module.functions:
            yield from (call.func for call in left_behind(function))
