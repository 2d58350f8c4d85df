"""Sums of times and durations that stay in the calendar, whatever users choose.

A delay may be `timedelta.max`, and a time the last one that Python has. Neither may
raise where an outcome is recorded: what lies beyond counts as the end of the calendar.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["FIRST", "LAST", "earlier", "later", "seconds", "utc", "within"]

# A few days within Python's own ends, so that a time may still be told in any zone of a
# client, a server or a driver, and that a head start of a day can be taken off.
FIRST: Final = datetime(1, 1, 5, tzinfo=UTC)
"""The earliest time that jobs are told by."""
LAST: Final = datetime(9999, 12, 27, tzinfo=UTC)
"""The latest one: what waits for it never comes."""


def utc(moment: datetime) -> datetime:
    """Return a time as it was written: SQLite keeps no zone, and we write only UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def within(moment: datetime) -> datetime:
    """Return a time in UTC, cut to the calendar."""
    try:
        told = moment.astimezone(UTC)
    except OverflowError:
        told = FIRST if moment.year <= FIRST.year else LAST
    return min(max(told, FIRST), LAST)


def later(moment: datetime, by: timedelta) -> datetime:
    """Return the time that is `by` after another, cut to the calendar."""
    try:
        told = moment + by
    except OverflowError:
        return FIRST if by < timedelta(0) else LAST
    return within(told)


def earlier(moment: datetime, by: timedelta) -> datetime:
    """Return the time that is `by` before another, cut to the calendar."""
    # Not `later(moment, -by)`: there is no `-timedelta.max`.
    try:
        told = moment - by
    except OverflowError:
        return LAST if by < timedelta(0) else FIRST
    return within(told)


def seconds(number: float) -> timedelta:
    """Return so many seconds, or as many as a duration can have."""
    try:
        return timedelta(seconds=number)
    except OverflowError:
        return timedelta.min if number < 0 else timedelta.max
