"""How slow the machine is while a test measures a time, so that a bound can be stretched by it."""

import threading
import time
from types import TracebackType
from typing import Final, Self

__all__ = ["Pace"]

_PAUSE: Final = 0.01
_WORK: Final = 0.001


class Pace:
    """Measure beside what happens within: how much longer than it should a little work takes.

    with Pace() as pace:
        seconds = how_long_it_takes()
    assert seconds < pace.stretched(1.1)
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._should, self._took, self._longest = 0.0, 0.0, 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def stretched(self, seconds: float) -> float:
        """Return how long takes here what takes `seconds` on a machine that does nothing else."""
        slowness = max(1.0, self._took / self._should)
        return seconds * slowness + self._longest

    def _work(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            worked = time.thread_time()
            time.sleep(_PAUSE)
            while time.thread_time() - worked < _WORK:
                pass
            took = time.monotonic() - began
            self._should += _PAUSE + _WORK
            self._took += took
            self._longest = max(self._longest, took - _PAUSE - _WORK)
