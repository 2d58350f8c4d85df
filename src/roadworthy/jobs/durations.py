"""What durations and times have to be, told where a user writes them."""

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["check_times", "duration", "moment"]

_SHORTEST_LEASE: Final = timedelta(seconds=1)
"""Heartbeats have to come in time."""


def duration(
    value: object,
    name: str,
    *,
    example: str,
    least: timedelta | None = None,
    above: timedelta | None = None,
) -> timedelta:
    """Return a duration as it was given.

    Raises:
        TypeError: It is a number or something else; the text names the argument.
        ValueError: It is below `least`, or not above `above`.
    """
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} is {value!r}, and has to be a time: {name}={example}.")
    if least is not None and value < least:
        raise ValueError(f"{name} is {value}, and has to be {least} or more: {name}={example}.")
    if above is not None and value <= above:
        raise ValueError(f"{name} is {value}, and has to be more than {above}: {name}={example}.")
    return value


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
