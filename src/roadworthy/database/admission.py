"""`Admission`: a place for each unit of work of a thread, before it takes one.

FastAPI has 40 threads for all that is not `async def`. Units that waited in them for a
connection would keep out the very ones that hold the connections: nobody went on. So they
wait here, on the event loop, and no more are let in than can have a connection.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

from anyio.to_thread import current_default_thread_limiter

from roadworthy.database import metrics
from roadworthy.problems import ServiceUnavailable

__all__ = ["Admission"]

_NAME: Final = "threads"
"""What the places are called where pools are told of."""


class Admission:
    """Let so many units of threads in as may use the database at a time."""

    def __init__(self, size: int, *, seconds: float) -> None:
        # One thread is left, whatever the pool: for who holds a connection of the event loop's.
        self.size = max(1, min(size, int(current_default_thread_limiter().total_tokens) - 1))
        self._seconds = seconds
        self._places = asyncio.Semaphore(self.size)
        self._used = self._pending = self._threads = 0

    @property
    def is_full(self) -> bool:
        """Tell whether who comes now has to wait."""
        return self._places.locked()

    @asynccontextmanager
    async def enter(self) -> AsyncGenerator[None]:
        """Have a place; no thread waits for that.

        Raises:
            ServiceUnavailable: 503: there was none within `max_wait`.
        """
        await self._take()
        try:
            yield
        finally:
            self.leave()

    async def enter_from_thread(self) -> None:
        """Take a place, for who is in a thread already, and keeps that while waiting.

        Raises:
            ServiceUnavailable: 503: there was none within `max_wait`, or so many threads wait
                that others would find none.
        """
        if self._threads >= current_default_thread_limiter().total_tokens // 2:
            metrics.timed_out(_NAME)
            raise ServiceUnavailable
        self._threads += 1
        try:
            await self._take()
        finally:
            self._threads -= 1

    def leave(self) -> None:
        """Give the place back."""
        self._used -= 1
        self._places.release()

    def state(self) -> metrics.PoolState:
        """Return how many places are taken, and how many want one."""
        return metrics.PoolState(
            _NAME, self._used, self.size - self._used, self.size, self._pending
        )

    async def _take(self) -> None:
        began = perf_counter()
        self._pending += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            metrics.timed_out(_NAME)
            raise ServiceUnavailable from None
        finally:
            self._pending -= 1
        self._used += 1
        metrics.waited(_NAME, perf_counter() - began)
