"""`Threads`: a thread pool for one store, so that a slow disk delays nothing else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self, TypeVar

from roadworthy._internal.finish import to_its_end

__all__ = ["Threads"]

T = TypeVar("T")


class Threads:
    """Run calls in at most `count` threads, which start with the first call."""

    def __init__(self, count: int, *, owner: str) -> None:
        self._count, self._owner = count, owner
        self._pool: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        if self._pool is not None:
            raise RuntimeError(f"This {self._owner} is open already: enter each one once.")
        name = f"roadworthy-{self._owner.lower()}"
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await to_its_end(asyncio.to_thread(pool.shutdown))

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call. When cancelled, wait for its end, or never begin it.

        So the memory that the call uses is free again when this returns or raises.
        """
        return await self._run(call, abandon=True)

    async def finish(self, call: Callable[[], object]) -> None:
        """Run clean-up even if cancelled, and in this thread once the others have ended."""
        if self._pool is None:
            call()
        else:
            await self._run(call, abandon=False)

    async def _run(self, call: Callable[[], T], *, abandon: bool) -> T:
        if self._pool is None:
            raise RuntimeError(
                f"The {self._owner} is not open. Name it, or the Files around it, in "
                "lifespan(...), or enter it: async with store: ..."
            )
        running = self._pool.submit(copy_context().run, call)
        done = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if abandon:
                running.cancel()
            await _end_of(done)
            raise


async def _end_of(done: "asyncio.Future[Any]") -> None:
    while not done.done():
        with suppress(asyncio.CancelledError):  # the first is raised at the end of the call
            await asyncio.wait([done])
