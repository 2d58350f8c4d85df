"""Wait for what another process, thread or task does: ask again and again, never sleep for it.

The patience is for a machine that is busy. Where a promise has a time, the test measures it.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["PATIENCE", "until", "until_async"]

V = TypeVar("V")

PATIENCE = 60.0
"""Seconds after which something never happens."""


def until(
    question: Callable[[], V],
    wanted: Callable[[V], object] = bool,
    *,
    seconds: float = PATIENCE,
    pause: float = 0.02,
) -> V:
    """Return the first answer that is wanted: by default, that is true of anything."""
    end = time.monotonic() + seconds
    while not wanted(answer := question()):
        assert time.monotonic() < end, f"it never happened; the last answer is {answer!r}"
        time.sleep(pause)
    return answer


async def until_async(
    question: Callable[[], V | Awaitable[V]],
    wanted: Callable[[V], object] = bool,
    *,
    seconds: float = PATIENCE,
    pause: float = 0.02,
) -> V:
    """Do the same while the event loop goes on; the question may be a coroutine."""
    end = time.monotonic() + seconds
    while True:
        found = question()
        answer: V = await found if inspect.isawaitable(found) else found
        if wanted(answer):
            return answer
        assert time.monotonic() < end, f"it never happened; the last answer is {answer!r}"
        await asyncio.sleep(pause)
