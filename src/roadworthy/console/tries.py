"""`Tries`: how often a client may be wrong about a secret before it has to wait."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

__all__ = ["Tries"]

_MOST_CLIENTS: Final = 10_000
"""Clients that are remembered; the one that was wrong the longest ago is forgotten first."""


class Tries:
    """Count wrong tries by client address, in this process.

    Args:
        most: Wrong tries within a window after which a client has to wait.
        seconds: The length of the window, from the first wrong try.
        clock: Seconds that never go back; for tests.
    """

    def __init__(
        self, most: int, *, seconds: float = 60.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Return the seconds for which this client has to wait; 0 where it may try."""
        began, wrong = self._wrong.get(client, (0.0, 0))
        left = began + self._seconds - self._clock()
        return left if wrong >= self._most and left > 0 else 0.0

    def note_wrong(self, client: str) -> None:
        """Count a wrong try."""
        now = self._clock()
        began, wrong = self._wrong.pop(client, (now, 0))
        if began + self._seconds <= now:
            began, wrong = now, 0
        self._wrong[client] = (began, wrong + 1)
        if len(self._wrong) > _MOST_CLIENTS:
            self._wrong.popitem(last=False)
