"""Say "not ready" for a while before stopping, so that balancers send requests elsewhere."""

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

__all__ = ["Drain"]

log = logging.getLogger(__name__)


class Drain:
    """Hold SIGTERM back for some seconds, not ready but still serving; SIGINT is not held back.

    It wraps the handler that the server has set, so enter it in the server's lifespan.
    """

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds
        self.draining = False
        self._stop: Any = signal.SIG_DFL

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._stop = signal.getsignal(signal.SIGTERM)
        if callable(self._stop) and self.seconds > 0:
            signal.signal(signal.SIGTERM, self._begin)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def _begin(self, number: int, frame: FrameType | None) -> None:
        self.draining = True
        log.info("SIGTERM: not ready, serving for %g more seconds", self.seconds)
        self._loop.call_soon_threadsafe(self._loop.call_later, self.seconds, self._stop_of(number))

    def _stop_of(self, number: int) -> Callable[[], object]:
        return lambda: self._stop(number, None)
