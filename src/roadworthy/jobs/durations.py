"""Check the times that users pass, where they pass them."""

from datetime import UTC, datetime, timedelta

__all__ = ["moment"]


def moment(value: object, name: str) -> datetime:
    """Return a time as it was given.

    Raises:
        TypeError: The argument is no `datetime`; the text names it.
        ValueError: The time has no time zone.
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
    except OverflowError:  # at either end of the calendar, some zones have no offset
        return value.replace(year=2000).astimezone(UTC).utcoffset()
