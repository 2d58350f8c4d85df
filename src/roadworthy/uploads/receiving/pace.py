"""`Pace`: limits of how slowly a body may come (HTTP 408)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

__all__ = ["Pace", "PaceClock"]

_GRACE: Final = 5.0
"""Seconds before the average rate counts: connections start slowly."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The time limits of a body, and its least rate."""

    timeout: timedelta
    """For the whole body, counting only the time spent waiting for the client."""
    idle: timedelta
    """Between two pieces of the body."""
    min_rate: int
    """Bytes a second of that time, on average."""


class PaceClock:
    """Measure how slowly a client sends its body, without the server's own time."""

    def __init__(self, pace: Pace) -> None:
        self._timeout = pace.timeout.total_seconds()
        self._idle = pace.idle.total_seconds()
        self._min_rate = pace.min_rate
        self._waited = self._quiet = 0.0
        self._received = 0

    def note(self, count: int, seconds: float) -> None:
        """Add bytes that came, and the seconds of waiting for them."""
        self._waited += seconds
        self._received += count
        self._quiet = 0.0 if count else self._quiet + seconds

    def is_late(self) -> bool:
        """Return whether the client has used up its time."""
        if self._quiet >= self._idle or self._waited >= self._timeout:
            return True
        return self._waited > _GRACE and self._received < self._min_rate * self._waited
