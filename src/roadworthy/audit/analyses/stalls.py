"""What stops the event loop: calls that wait, in code that runs on it."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from roadworthy.audit.dataflow.blocking_calls import Effect, blocking
from roadworthy.audit.dataflow.constant_conditions import is_taken, switches
from roadworthy.audit.dataflow.once import is_once
from roadworthy.audit.dataflow.reach import (
    Reached,
    callee,
    calls,
    inner_functions,
    may_reach,
    reach,
    steps,
)
from roadworthy.audit.dataflow.values import dotted
from roadworthy.audit.fastapi.loop_entries import LoopEntry
from roadworthy.audit.model.finding import Step
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import written

__all__ = ["Stall", "on_loop", "once_a_call", "stalls"]

_CACHES: Final = ("cache", "lru_cache", "cached", "cached_property", "alru_cache")


@dataclass(frozen=True, eq=False)
class Stall:
    """A call that waits, and the function on the event loop that leads to it."""

    function: Function
    reached: Reached
    effect: Effect

    @property
    def is_direct(self) -> bool:
        """Return whether the function itself makes the call."""
        return not self.reached.chain

    @property
    def first(self) -> Reached:
        """Return the call in the function that leads there, or is it."""
        return (*self.reached.chain, self.reached)[0]

    @property
    def text(self) -> str:
        """Return what is called, as it is written."""
        return f"{written(self.reached.call.node.func)}()"[:60]

    def flow(self, start: str) -> tuple[Step, ...]:
        """Return the way there; nothing where the function makes the call."""
        return () if self.is_direct else steps(self.reached, start, self.function)


def on_loop(route: LoopEntry) -> Iterator[Function]:
    """Return the functions of a route or an entry that run on the event loop."""
    if route.is_async:
        yield route.function
    yield from (one.function for one in route.dependencies if one.function.is_async)


@remembered
def stalls(function: Function) -> tuple[Stall, ...]:
    """Return the calls that stop the event loop while a function runs, in their order."""
    return tuple(sorted(_stalls(function), key=lambda one: one.first.call.node.lineno))


def once_a_call(found: Iterable[Stall]) -> Iterator[Stall]:
    """Yield the first stall behind each call: the others have the same fix."""
    seen: set[int] = set()
    for stall in found:
        call = id(stall.first.call.node)
        if call not in seen:
            seen.add(call)
            yield stall


def _stalls(function: Function) -> Iterator[Stall]:
    for one in inner_functions(function):
        if not one.is_async or not may_reach(one, blocking):
            continue
        found = [
            Stall(one, reached, effect)
            for reached in reach(one, counts=_runs_here, differs=switches)
            if (effect := blocking(reached)) is not None
        ]
        yield from found
        yield from _again(one, found)


def _again(function: Function, found: list[Stall]) -> Iterator[Stall]:
    """Yield the stalls behind further calls of helpers, each of which was followed once."""
    behind: dict[int, list[Stall]] = defaultdict(list)
    for stall in found:
        behind[id(callee(stall.first))].append(stall)
    known = {id(stall.first.call.node) for stall in found}
    for call in calls(function) if behind else ():
        if id(call.call.node) in known or callee(call) is None or not _runs_here(call):
            continue
        ways = (_from(call, stall) for stall in behind.get(id(callee(call)), ()))
        yield from (one for one in ways if one is not None)


def _from(call: Reached, stall: Stall) -> Stall | None:
    """Return what stalls behind another call of the same helper, where its constants let it."""
    chain: tuple[Reached, ...] = (call,)
    for one in (*stall.reached.chain[1:], stall.reached):
        here = replace(one, chain=chain)
        if not _runs_here(here):
            return None
        chain = (*chain, here)
    return Stall(stall.function, replace(stall.reached, chain=chain[:-1]), stall.effect)


def _runs_here(reached: Reached) -> bool:
    """Return whether a call is made here, and for every request: in no thread, not once only."""
    if _is_aside(reached) or not is_taken(reached):
        return False
    return not is_once(reached.call, reached.scope)


def _is_aside(reached: Reached) -> bool:
    function = callee(reached)
    if function is None:
        return False
    decorators = function.node.decorator_list
    if reached.call.awaited and not function.is_async and decorators:
        return True
    return any(_name(one) in _CACHES for one in decorators)


def _name(decorator: ast.expr) -> str:
    func = decorator.func if isinstance(decorator, ast.Call) else decorator
    return dotted(func).rpartition(".")[2]
