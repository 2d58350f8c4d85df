"""`Backoff`: how long to wait before another attempt."""

import math
import random
from dataclasses import dataclass
from datetime import timedelta

from roadworthy._internal.calendar import seconds
from roadworthy._internal.durations import duration

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Wait `first` after the first failure, then `factor` times longer each time.

    A wait is never longer than `most`. Half of each wait is random, so that jobs that failed
    together are not tried again together.
    """

    first: timedelta = timedelta(seconds=2)
    factor: float = 3.0
    most: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        duration(self.first, "first", example="timedelta(seconds=2)")
        duration(self.most, "most", example="timedelta(minutes=15)")
        if not _is_finite(self.factor):
            raise ValueError(f"factor is {self.factor!r}, and has to be a number: factor=3.")
        if self.first < timedelta(0) or self.most < self.first or self.factor < 1:
            raise ValueError(
                "Backoff needs 0 <= first <= most and factor >= 1, such as "
                "Backoff(first=timedelta(seconds=2), factor=3, most=timedelta(minutes=15))."
            )

    def after(self, attempt: int) -> timedelta:
        """Return the wait after attempt number `attempt`, counted from 1."""
        longest = self.most.total_seconds()
        try:
            wait = min(longest, self.first.total_seconds() * self.factor ** (attempt - 1))
        except OverflowError:
            wait = longest
        return seconds(wait * random.uniform(0.5, 1))  # noqa: S311 - jitter


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)
