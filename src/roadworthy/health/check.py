"""`Check`: what is asked, and how often; `CheckState`: what is held of its answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final, Literal, TypeAlias

__all__ = ["UNKNOWN", "Ask", "Check", "CheckResult", "CheckState", "Status"]

Ask: TypeAlias = Callable[[], Awaitable[str | None]]
"""Any `async def`: it returns (pass), returns a reason (warn) or raises (fail)."""
Status: TypeAlias = Literal["pass", "warn", "fail"]
"""What is held of a check: it is well, it works but is not well, it does not work."""

_STALE_INTERVALS: Final = 3
_HURRY: Final = 5.0
"""How many times sooner a check runs again whose answer was not what is held of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to ask, with its schedule."""

    name: str
    ask: Ask
    timeout: timedelta
    interval: timedelta
    critical: bool
    failures: int
    """Failures in a row until it is held to fail."""
    recoveries: int
    """Successes in a row until it is held to have recovered."""
    after: tuple[str, ...]
    """Checks that have to pass, else this one is not run."""
    shared: bool
    """Whether the answer of one worker is that of all workers of a server."""

    @property
    def stale_after(self) -> float:
        """After how many seconds without an answer the last one is worth nothing."""
        return _STALE_INTERVALS * self.interval.total_seconds() + self.timeout.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The answer of one run."""

    status: Status
    at: datetime
    seconds: float
    """How long the run took."""
    reason: str | None = None
    """For the log and for operators: it may hold what strangers should not know."""


UNKNOWN: Final = CheckResult(
    status="fail", at=datetime.fromtimestamp(0, UTC), seconds=0.0, reason="not checked yet"
)
"""What is held of a check before its first answer."""


class CheckState:
    """What is held of a check: it takes several answers in a row to change that."""

    def __init__(self, check: Check, clock: Callable[[], float] = monotonic) -> None:
        self.check = check
        self.last = UNKNOWN
        """The last answer, whatever is held."""
        self.reason: str | None = UNKNOWN.reason
        """Why it does not pass."""
        self._clock = clock
        self._held: Status | None = None
        self._against = 0
        self._heard_at: float | None = None

    @property
    def status(self) -> Status:
        """What probes are told."""
        return "fail" if self._held is None or self.is_stale else self._held

    @property
    def is_stale(self) -> bool:
        """Whether there has been no answer for too long: nobody knows."""
        age = self._clock() - self._heard_at if self._heard_at is not None else 0.0
        return age > self.check.stale_after

    def hear(self, result: CheckResult) -> bool:
        """Take an answer, and return whether that changed what is held."""
        was = self.status
        self.last, self._heard_at = result, self._clock()
        if self._held is None or (result.status == "fail") == (self._held == "fail"):
            self._hold(result)
        else:
            self._against += 1
            if self._against >= self._needed(result):
                self._hold(result)
        return self.status != was

    def skip(self, reason: str) -> None:
        """Take note that it was not run, since another check does not pass."""
        if self._held != "fail":
            self._held, self.reason = "warn", reason
        self._heard_at = self._clock()

    def pause(self) -> float:
        """Return how many seconds to wait until the next run."""
        seconds = self.check.interval.total_seconds()
        return seconds / _HURRY if self._against else seconds

    def _hold(self, result: CheckResult) -> None:
        self._held, self._against = result.status, 0
        self.reason = result.reason

    def _needed(self, result: CheckResult) -> int:
        return self.check.failures if result.status == "fail" else self.check.recoveries
