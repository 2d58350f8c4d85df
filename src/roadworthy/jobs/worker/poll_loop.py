"""`PollLoop`: call a function again and again, and own the tasks beside it."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.recorder import may_pass

__all__ = ["PollLoop"]

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


class PollLoop:
    """Own tasks that belong to no request, until `end`.

    Args:
        woken: Called before the next try, after a round that failed.
    """

    def __init__(self, *, woken: Callable[[], object]) -> None:
        self.news = asyncio.Event()
        """Set when there may be something to do; a round clears it."""
        self._woken = woken
        self._owned: list[asyncio.Task[None]] = []

    def supervise(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task of its own, until `end`."""
        # A context of its own, without the variables of the code that started us.
        loop = asyncio.get_running_loop()
        self._owned.append(loop.create_task(work, context=contextvars.Context()))

    async def end(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        for owned in self._owned:
            owned.cancel()
        await asyncio.gather(*self._owned, return_exceptions=True)

    async def run(
        self, once: Callable[[], Awaitable[None]], sleep: Callable[[], Awaitable[None]]
    ) -> None:
        """Call `once` and `sleep` in turn, with growing pauses while `once` fails."""
        pause = _FIRST_PAUSE
        while True:
            self.news.clear()
            try:
                await once()
            except Exception as error:  # any error of the driver: jobs wait for the next try
                again = pause > _FIRST_PAUSE
                logs.database_down(error, pause, again=again, because_of_us=not may_pass(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                self._woken()
            else:
                pause = _FIRST_PAUSE
                await sleep()
