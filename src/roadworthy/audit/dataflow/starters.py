"""Calls that start work: in a thread, after the answer, or as a task of asyncio."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.module import Scope
from roadworthy.audit.source.ref import Ref

__all__ = [
    "STARTERS",
    "Runs",
    "Starter",
    "has_starter_name",
    "in_thread",
    "may_start",
    "starter",
    "starts",
    "work_of",
]


class Runs(Enum):
    """Where the work runs, and who waits for it."""

    THREAD = auto()
    """A worker thread; the caller awaits its result."""
    EXECUTOR = auto()
    """An executor of the loop; the caller awaits its result."""
    POOL = auto()
    """A pool of threads or processes; the caller gets a future."""
    AFTERWARDS = auto()
    """Once the answer is sent; nobody waits."""
    TASK = auto()
    """The event loop; the argument is a coroutine, and the caller gets a task."""


@dataclass(frozen=True, slots=True)
class Starter:
    """What a call does with the work that it is given."""

    runs: Runs
    at: int = 0
    """The place of the work among the arguments."""


STARTERS: Final[Mapping[str, Starter]] = {
    "starlette.concurrency.run_in_threadpool": Starter(Runs.THREAD),
    "asyncio.to_thread": Starter(Runs.THREAD),
    "anyio.to_thread.run_sync": Starter(Runs.THREAD),
    "asgiref.sync.sync_to_async": Starter(Runs.THREAD),
    "asyncer.asyncify": Starter(Runs.THREAD),
    "asyncio.AbstractEventLoop.run_in_executor": Starter(Runs.EXECUTOR, at=1),
    "concurrent.futures.Executor.submit": Starter(Runs.POOL),
    "fastapi.BackgroundTasks.add_task": Starter(Runs.AFTERWARDS),
    "starlette.background.BackgroundTask": Starter(Runs.AFTERWARDS),
    "asyncio.create_task": Starter(Runs.TASK),
    "asyncio.ensure_future": Starter(Runs.TASK),
    "asyncio.AbstractEventLoop.create_task": Starter(Runs.TASK),
    "asyncio.AbstractEventLoop.ensure_future": Starter(Runs.TASK),
}
"""What starts work, by its full name."""

_METHODS: Final[Mapping[str, Starter]] = {
    name.rpartition(".")[2]: one
    for name, one in STARTERS.items()
    if one.runs in {Runs.EXECUTOR, Runs.POOL}
}
"""Methods that tell by their name alone: the loop and the pool are rarely known."""

_LAST: Final[Mapping[str, Runs]] = {
    name.rpartition(".")[2]: one.runs for name, one in STARTERS.items()
}
_WRITTEN: Final = tuple((name.encode(), kind) for name, kind in _LAST.items())


def starter(call: ast.Call, ref: Ref | None) -> Starter | None:
    """Return what a call of something starts, or None where that starts nothing."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
        return _METHODS[call.func.attr]
    return None if ref is None else STARTERS.get(ref.name)


def starts(ref: Ref | None, *runs: Runs) -> bool:
    """Return whether something that is called starts work of these kinds."""
    found = None if ref is None else STARTERS.get(ref.name)
    return found is not None and found.runs in runs


def has_starter_name(name: str, *runs: Runs) -> bool:
    """Return whether a name is the last one of what starts such work, whoever owns it."""
    return _LAST.get(name) in runs


def may_start(source: bytes, *runs: Runs) -> bool:
    """Return whether a file has a name of what starts such work: else nobody need look."""
    return any(name in source for name, kind in _WRITTEN if kind in runs)


def work_of(call: ast.Call, found: Starter) -> ast.Call | None:
    """Return the call that a starter makes: `work(file)` of `to_thread(work, file)`."""
    if len(call.args) <= found.at:
        return None
    made = ast.Call(call.args[found.at], call.args[found.at + 1 :], call.keywords)
    return ast.copy_location(made, call)


def in_thread(call: ast.Call, scope: Scope) -> ast.Call | None:
    """Return the call that `to_thread(function, …)` makes, or `asyncify(function)(…)`."""
    if isinstance(call.func, ast.Call):
        inner = call.func
        if not inner.args or not starts(names.resolve(inner.func, scope), Runs.THREAD):
            return None
        return ast.copy_location(ast.Call(inner.args[0], call.args, call.keywords), call)
    found = starter(call, names.resolve(call.func, scope))
    awaited = found is not None and found.runs in {Runs.THREAD, Runs.EXECUTOR}
    return work_of(call, found) if found is not None and awaited else None
