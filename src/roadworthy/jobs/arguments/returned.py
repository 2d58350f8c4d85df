"""What a task may not hand back: work that has not been done yet."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

__all__ = ["NotRun", "call_to_its_end", "refuse_unrun"]

_LAZY: Final = (map, filter)
"""They call nothing until somebody asks for their members."""


class NotRun(TypeError):
    """A task has returned what nobody runs: an attempt that did nothing has failed."""


def call_to_its_end(name: str, function: Callable[..., Any], /, **given: Any) -> None:
    """Call a function, on a thread or in a process.

    Raises:
        NotRun: It has returned a coroutine, a generator or the like.
    """
    refuse_unrun(name, function(**given))


def refuse_unrun(name: str, result: object) -> None:
    """Raise where a task has returned work that nobody will do.

    Raises:
        NotRun: The text says what to write.
    """
    kind = _kind(result)
    if kind is not None:
        _let_go(result)
        raise NotRun(f"{name} returned {kind}, and nobody runs it. {_HINTS[kind]}")


_HINTS: Final = {
    "a coroutine": (
        "Where a decorator stands over an `async def`, write it so that it awaits: "
        "`async def wrapper(*args, **kwargs): return await function(*args, **kwargs)`; "
        "in the task itself, write `await` before the call."
    ),
    "an awaitable": "Write `await` before it, in an `async def`.",
    "a generator": "Write a function without `yield`, or one that goes through it to its end.",
    "an async generator": "Write a function without `yield`, or go through it with `async for`.",
    "a lazy iterator": "Go through it with a loop: `for item in items: ...`.",
}


def _kind(result: object) -> str | None:
    if result is None:
        return None
    if inspect.iscoroutine(result):
        return "a coroutine"
    if inspect.isgenerator(result):
        return "a generator"
    if inspect.isasyncgen(result):
        return "an async generator"
    if isinstance(result, Awaitable):
        return "an awaitable"
    return "a lazy iterator" if isinstance(result, _LAZY) else None


def _let_go(result: object) -> None:
    """Close what was never begun, so that Python does not complain of it as well."""
    if inspect.iscoroutine(result) and inspect.getcoroutinestate(result) == inspect.CORO_CREATED:
        result.close()
