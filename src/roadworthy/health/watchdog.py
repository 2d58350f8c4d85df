"""`Watchdog`: measure how late the event loop is, and log what blocks it."""

import asyncio
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Final

from roadworthy.health import metrics

__all__ = ["Watchdog"]

log = logging.getLogger("roadworthy.health")

_TICK: Final = 0.25
"""Seconds between two ticks."""
_MEMORY: Final = 10.0
"""Seconds for which a lag is remembered."""
_BLOCKED: Final = 1.0
"""Seconds of lag after which the stack of the event loop is logged."""


class Watchdog:
    """A task that ticks in the event loop, and a thread that watches the ticks."""

    def __init__(self) -> None:
        self._due = 0.0
        self._lags: deque[tuple[float, float]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stopped = threading.Event()

    @property
    def lag(self) -> float:
        """Return the greatest lag of the loop in the last ten seconds, in seconds."""
        if self._task is None:
            return 0.0
        since = monotonic() - _MEMORY
        worst = max((lag for at, lag in self._lags if at >= since), default=0.0)
        return max(worst, monotonic() - self._due)

    def start(self) -> None:
        """Start the ticking task and the thread that watches it."""
        self._lags.clear()
        self._due = monotonic() + _TICK
        self._task = asyncio.create_task(self._tick(), name="health: event loop")
        self._stopped = threading.Event()  # a thread of the start before may not be gone
        arguments = threading.get_ident(), self._stopped
        watch = threading.Thread(target=self._watch, args=arguments, daemon=True, name="health")
        watch.start()

    async def stop(self) -> None:
        """Stop the ticking task and its thread."""
        self._stopped.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._due - monotonic()))
            now = monotonic()
            self._lags.append((now, now - self._due))
            while self._lags[0][0] < now - _MEMORY:
                self._lags.popleft()
            self._due = now + _TICK
            metrics.record_loop_lag(self.lag)

    def _watch(self, thread: int, stopped: threading.Event) -> None:
        logged = 0.0
        while not stopped.wait(_TICK):
            due = self._due
            if monotonic() - due > _BLOCKED and logged != due:
                logged = due
                log.warning("the event loop is blocked. It is at:\n%s", _stack_of(thread))


def _stack_of(thread: int) -> str:
    current: Callable[[], dict[int, FrameType]] = getattr(sys, "_current_frames")  # noqa: B009
    frames = current()  # documented, though it begins with an underscore
    frame = frames.get(thread)
    return "".join(traceback.format_stack(frame)) if frame else "(nowhere)"
