"""`CheckState`: the status of a check, which several results in a row change."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from roadworthy.health.check import UNKNOWN, Check, CheckResult, Status

__all__ = ["Change", "CheckState"]

_SOONER: Final = 5.0
"""How many times sooner a check runs again whose last result contradicts its status."""

_RESULTS: Final = 60
_CHANGES: Final = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the status of a check, as this process has seen it."""

    at: datetime
    status: Status
    reason: str | None
    """Why it is no longer `pass`; for operators."""


class CheckState:
    """The status of one check, and the results that may change it.

    Args:
        check: Its `failures` and `recoveries` say how many results in a row change the status.
        clock: Seconds that never go back; for tests.
    """

    def __init__(self, check: Check, clock: Callable[[], float] = monotonic) -> None:
        self.check = check
        self.last = UNKNOWN
        """The last result, whatever the status is."""
        self.reason: str | None = UNKNOWN.reason
        """Why the status is not `pass`."""
        self.results: deque[CheckResult] = deque(maxlen=_RESULTS)
        """The last sixty results, the oldest first, of this process or of a fellow."""
        self.changes: deque[Change] = deque(maxlen=_CHANGES)
        """The last twenty changes of the status, the oldest first; the first status is one."""
        self._clock = clock
        self._status: Status | None = None
        self._contradictions = 0
        """Results in a row that contradict the status."""
        self._recorded_at: float | None = None

    @property
    def status(self) -> Status:
        """Return the status that probes show."""
        return "fail" if self._status is None or self.is_stale else self._status

    @property
    def is_stale(self) -> bool:
        """Return whether the last result is too old: the true status is not known."""
        age = self._clock() - self._recorded_at if self._recorded_at is not None else 0.0
        return age > self.check.stale_after

    def record(self, result: CheckResult) -> bool:
        """Record a result, and return whether the status changed.

        Every result of every check comes through here, be it of this worker or of another.
        """
        before = self.status
        self.last, self._recorded_at = result, self._clock()
        self.results.append(result)
        if self._status is None or (result.status == "fail") == (self._status == "fail"):
            self._adopt(result)
        else:
            self._contradictions += 1
            if self._contradictions >= self._needed(result):
                self._adopt(result)
        return self.status != before

    def skip(self, reason: str) -> None:
        """Record that the check was not run, since one that it comes after fails."""
        if self._status != "fail":
            self._change("warn", reason, datetime.now(UTC))
        self._recorded_at = self._clock()

    def pause(self) -> float:
        """Return the seconds to wait until the next run."""
        seconds = self.check.interval.total_seconds()
        return seconds / _SOONER if self._contradictions else seconds

    def _adopt(self, result: CheckResult) -> None:
        self._contradictions = 0
        self._change(result.status, result.reason, result.at)

    def _change(self, status: Status, reason: str | None, at: datetime) -> None:
        if status != self._status:
            self.changes.append(Change(at, status, reason))
        self._status, self.reason = status, reason

    def _needed(self, result: CheckResult) -> int:
        return self.check.failures if result.status == "fail" else self.check.recoveries
