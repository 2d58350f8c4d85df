"""What durations and times have to be, told where a user writes them."""

from datetime import UTC, datetime, timedelta
from typing import Final

from roadworthy._internal.durations import duration

__all__ = ["check_times", "moment"]

_SHORTEST_LEASE: Final = timedelta(seconds=1)
"""Heartbeats have to come in time."""


def check_times(*, lease: object, poll: object, grace: object) -> None:
    """Check what an engine is told of its times.

    Raises:
        TypeError: One is no timedelta; the text names it.
        ValueError: One is out of its range.
    """
    duration(lease, "lease", example="timedelta(seconds=15)", least=_SHORTEST_LEASE)
    duration(grace, "grace", example="timedelta(seconds=10)", least=timedelta(0))
    if poll is not None:
        duration(poll, "poll", example="timedelta(seconds=2)", above=timedelta(0))


def moment(value: object, name: str) -> datetime:
    """Return a time as it was given.

    Raises:
        TypeError: It is a text, a date or something else; the text names the argument.
        ValueError: It has no time zone.
    """
    example = f"{name}=datetime.now(UTC) + timedelta(hours=1)"
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is {value!r}, and has to be a datetime: {example}.")
    if _offset(value) is None:
        raise ValueError(f"{name} needs a time zone: {example}.")
    return value


def _offset(value: datetime) -> timedelta | None:
    try:
        return value.utcoffset()
    except OverflowError:  # at either end of the calendar, some zones cannot say
        return value.replace(year=2000).astimezone(UTC).utcoffset()
