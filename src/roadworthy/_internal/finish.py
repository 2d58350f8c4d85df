"""Finish clean-up work, even where its task is cancelled."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["forget_cancellation", "to_its_end"]

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end, and return its result; cancellations are raised after that."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # taken note of: the cancellation is what is told
        raise cancelled
    return task.result()


async def forget_cancellation() -> None:
    """Take back a `cancel()` of the current task, delivered or not.

    For whoever asked for it and is done with it; what others asked for is passed on.

    Raises:
        asyncio.CancelledError: Somebody else has cancelled the task, too.
    """
    task = asyncio.current_task()
    if task is None or task.uncancel():
        raise asyncio.CancelledError
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
