"""`LoopThread`: parts that are open on an event loop in a thread of its own."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final, TypeAlias, TypeVar

__all__ = ["LoopThread", "NotOpen", "PartsFactory", "ProcessParts"]

R = TypeVar("R")

PartsFactory: TypeAlias = Callable[[], Iterable[AbstractAsyncContextManager[object]]]
"""Makes the parts of a process, to be opened from left to right."""

_CLOSING: Final = 60.0
"""Seconds after which a process ends even if its parts are not closed."""


class NotOpen(RuntimeError):
    """The parts of a worker process could not be opened; the cause says why."""


class LoopThread:
    """Open parts in a thread, keep them open, and call coroutines on their loop.

    The parts are made in that thread, too, so nothing of them is older than the process.

    Args:
        parts: Makes the parts.
    """

    def __init__(self, parts: PartsFactory) -> None:
        self._parts = parts
        self._opened = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="roadworthy-worker", daemon=True)

    def start(self) -> None:
        """Begin to open the parts."""
        self._thread.start()

    def call(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine on the loop, and wait for its result.

        Raises:
            NotOpen: Opening the parts has failed, or they are closed.
        """
        self._opened.wait()
        if self._failure is not None or self._loop is None or not self._thread.is_alive():
            raise NotOpen("The parts of this worker process are not open.") from self._failure
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result()

    def close(self) -> None:
        """Close the parts from right to left; running jobs end, or are given back."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_CLOSING)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # the error of a part is raised in `call`
            self._failure = error
        finally:
            self._opened.set()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            for part in self._parts():
                await stack.enter_async_context(part)
            self._opened.set()
            await self._stop.wait()


class ProcessParts:
    """The parts of this process; none in the parent of workers, which forks.

    Args:
        parts: Makes the parts.
    """

    def __init__(self, parts: PartsFactory) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._loop_thread: LoopThread | None = None
        self._of = 0
        self._ended = False

    @property
    def here(self) -> bool:
        """Whether this is a worker process that has begun to open its parts."""
        return self._loop_thread is not None and self._of == os.getpid()

    def here_or_begun(self) -> LoopThread:
        """Return the parts that are open here, or being opened.

        Raises:
            NotOpen: The parts were closed for good.
        """
        with self._lock:
            if self._ended:
                raise NotOpen("This worker process is about to end.")
            if self._loop_thread is None or self._of != os.getpid():
                self._loop_thread, self._of = LoopThread(self._parts), os.getpid()
                self._loop_thread.start()
            return self._loop_thread

    def begin(self, **_: object) -> None:
        """Begin to open the parts: Celery kills a process that takes long to start."""
        self.here_or_begun()

    def forget(self) -> None:
        """Open the parts again with the next doorbell."""
        with self._lock:
            self._loop_thread = None

    def end(self, **_: object) -> None:
        """Close the parts for good, if they are those of this process."""
        with self._lock:
            thread, mine = self._loop_thread, self.here
            self._ended = mine
        if thread is not None and mine:
            thread.close()
