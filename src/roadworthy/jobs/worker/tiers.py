"""`Tiers`: where tasks run. The event loop, threads, and worker processes."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from roadworthy.jobs.processes.pool import Processes, TookTooLong

__all__ = ["Tiers", "TimedOut"]

R = TypeVar("R")


class TimedOut(Exception):
    """An attempt took longer than the task's timeout."""


class Tiers:
    """Run calls on threads of our own and in worker processes, so many at a time.

    The threads are not those that FastAPI runs synchronous endpoints on: jobs never
    make requests wait.
    """

    def __init__(
        self, *, threads: int, processes: int, process_setup: Callable[[], object] | None = None
    ) -> None:
        self._threads = asyncio.Semaphore(threads)
        self._processes = Processes(processes, setup=process_setup)

    async def in_thread(
        self, call: Callable[[], R], *, within: timedelta | None, late: Callable[[], object]
    ) -> R:
        """Run a call on a thread, and wait for its end whatever happens.

        A thread cannot be stopped. After `within`, `late` is called, and the result
        counts as a failure when it comes.

        Raises:
            TimedOut: It took too long.
        """
        async with self._threads:
            done = _start_thread(call)
            seconds = within.total_seconds() if within else None
            await asyncio.wait([done], timeout=seconds)
            in_time = done.done()
            if not in_time:
                late()
                await asyncio.wait([done])
            if in_time or done.exception() is not None:
                return done.result()
            raise TimedOut

    async def in_process(
        self,
        call: Callable[[], R],
        *,
        within: timedelta | None,
        max_memory: int | None,
        request_id: str | None,
        on_progress: Callable[[float, str], object],
    ) -> R:
        """Run a call in a worker process, which is killed when it takes too long.

        Raises:
            TimedOut: It took too long.
            MemoryError: It took too much memory.
        """
        try:
            return await self._processes.run(
                call,
                timeout=within,
                max_memory=max_memory,
                on_progress=on_progress,
                request_id=request_id,
            )
        except TookTooLong as error:
            raise TimedOut(str(error)) from None

    async def close(self) -> None:
        """End the worker processes, and leave the threads to their own end."""
        await self._processes.close()


def _start_thread(call: Callable[[], R]) -> "asyncio.Future[R]":
    """Run a call on a new thread, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            settle = partial(_succeed, done, context.run(call))
        except BaseException as error:
            settle = partial(_fail, done, error)
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name="roadworthy-job", daemon=True).start()
    return done


def _succeed(done: "asyncio.Future[R]", result: R) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: "asyncio.Future[Any]", error: BaseException) -> None:
    if isinstance(error, StopIteration):  # no future takes one: it would end a generator
        error = RuntimeError(f"The task raised StopIteration: {error}")
    if not done.done():
        done.set_exception(error)
