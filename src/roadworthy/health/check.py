"""`Check`: a function with its schedule; `CheckResult`: the result of one run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

__all__ = ["UNKNOWN", "Check", "CheckFunction", "CheckResult", "Status"]

CheckFunction: TypeAlias = Callable[[], Awaitable[str | None]]
"""Any `async def`: it returns None (pass), returns a reason (warn) or raises (fail)."""
Status: TypeAlias = Literal["pass", "warn", "fail"]
"""Whether a dependency works well, works with a warning, or does not work."""

_STALE_INTERVALS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of a dependency, with its schedule."""

    name: str
    run: CheckFunction
    timeout: timedelta
    interval: timedelta
    critical: bool
    failures: int
    """Failures in a row until its status is `fail`."""
    recoveries: int
    """Successes in a row until its status is no longer `fail`."""
    after: tuple[str, ...]
    """Names of the checks that have to pass for this one to run."""
    shared: bool
    """Whether the result of one worker counts for all workers of a server."""

    @property
    def stale_after(self) -> float:
        """Return the seconds after which the last result no longer counts."""
        return _STALE_INTERVALS * self.interval.total_seconds() + self.timeout.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of one run of a check."""

    status: Status
    at: datetime
    seconds: float
    """How long the run took."""
    reason: str | None = None
    """The reason, for the log and for operators: it may hold confidential details."""


UNKNOWN: Final = CheckResult(
    status="fail", at=datetime.fromtimestamp(0, UTC), seconds=0.0, reason="not checked yet"
)
"""The result of a check before its first run."""
