"""`ThreadSlots`: a slot for each unit of work in a thread.

FastAPI has 40 threads for everything that is not `async def`. If units of work waited there
for a connection, they could fill all threads, and the units that hold the connections would
find no thread to go on in. So units wait here, on the event loop, and only as many are let in
as there are connections.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

from anyio.to_thread import current_default_thread_limiter

from roadworthy.database import metrics
from roadworthy.problems import ServiceUnavailable

__all__ = ["ThreadSlots"]

_NAME: Final = "threads"
"""The name of the slots in the metrics of pools."""


class ThreadSlots:
    """Limit how many units of work in threads use the database at a time.

    Args:
        size: How many connections the pool has.
        seconds: How long a unit waits for a slot, at most.
    """

    def __init__(self, size: int, *, seconds: float) -> None:
        # However large the pool, one thread stays free, for the holders of connections.
        self.size = max(1, min(size, int(current_default_thread_limiter().total_tokens) - 1))
        self._seconds = seconds
        self._slots = asyncio.Semaphore(self.size)
        self._used = self._pending = self._threads = 0

    @property
    def is_full(self) -> bool:
        """Return whether the next unit has to wait."""
        return self._slots.locked()

    @asynccontextmanager
    async def enter(self) -> AsyncGenerator[None]:
        """Hold a slot; the wait for it takes up no thread.

        Raises:
            ServiceUnavailable: 503: no slot was free within `max_wait`.
        """
        await self._take()
        try:
            yield
        finally:
            self.leave()

    async def enter_from_thread(self) -> None:
        """Take a slot for a unit that is in a thread already, and keeps it while it waits.

        Raises:
            ServiceUnavailable: 503: no slot was free within `max_wait`, or half of all threads
                wait for one already.
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
        """Release the slot."""
        self._used -= 1
        self._slots.release()

    def state(self) -> metrics.PoolState:
        """Return how many slots are taken, and how many units wait for one."""
        return metrics.PoolState(
            _NAME, self._used, self.size - self._used, self.size, self._pending
        )

    async def _take(self) -> None:
        began = perf_counter()
        self._pending += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            metrics.timed_out(_NAME)
            raise ServiceUnavailable from None
        finally:
            self._pending -= 1
        self._used += 1
        metrics.waited(_NAME, perf_counter() - began)
