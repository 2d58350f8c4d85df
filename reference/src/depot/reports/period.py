"""The days that a report covers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from depot import times

__all__ = ["Period"]


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in UTC, from the first to the last."""

    first: date
    last: date

    @classmethod
    def of_last(cls, days: int) -> "Period":
        """Return the last so many days, today included."""
        today = times.now().date()
        return cls(today - timedelta(days=days - 1), today)

    def days(self) -> Iterator[date]:
        """Yield each day, the oldest first."""
        for offset in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=offset)
