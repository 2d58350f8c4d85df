"""`Tally`: how many problems of each kind there were in each quarter of an hour.

All are counted, also those of which no row is kept: charts and totals tell the truth when
too much goes wrong at once.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

__all__ = ["QUARTER", "Kind", "Tally"]

QUARTER: Final = 900
"""Seconds of one count."""
_MOST: Final = 5000
"""Counts that wait to be written, at most: where the database is away for long, new kinds go."""


class Kind(NamedTuple):
    """What is counted together."""

    code: str
    status: int
    route: str
    reason: str


class Tally:
    """Count in memory, until somebody writes the counts down."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, Kind]] = Counter()

    def note(self, kind: Kind, seconds: float) -> None:
        """Count one problem; `seconds` is its time, since 1970."""
        counted = (int(seconds) // QUARTER * QUARTER, kind)
        if counted in self._counts or len(self._counts) < _MOST:
            self._counts[counted] += 1

    def take(self) -> list[dict[str, Any]]:
        """Return the rows that are to be added to the table, and begin anew."""
        rows = [
            {"begins_at": datetime.fromtimestamp(begins, UTC), **kind._asdict(), "problems": number}
            for (begins, kind), number in sorted(self._counts.items())
        ]
        self._counts.clear()
        return rows

    def put_back(self, rows: list[dict[str, Any]]) -> None:
        """Count again what could not be written."""
        for row in rows:
            kind = Kind(row["code"], row["status"], row["route"], row["reason"])
            self._counts[int(row["begins_at"].timestamp()), kind] += row["problems"]
