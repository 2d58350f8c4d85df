"""Refuse what is no duration or no size where it is written, by the name of the argument."""

from datetime import timedelta

__all__ = ["check_duration", "check_size"]


def check_duration(name: str, value: object, *, above_zero: bool = False) -> None:
    """Refuse an argument that is no duration: numbers have no unit.

    Raises:
        TypeError: It is no `timedelta`.
        ValueError: It is negative, or zero where that means nothing.
    """
    if not isinstance(value, timedelta):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        write = f"timedelta(seconds={value})" if number else "timedelta(seconds=...)"
        raise TypeError(f"{name} is a timedelta, not {type(value).__name__}: write {name}={write}.")
    if value < timedelta(0) or (above_zero and not value):
        least = "more than zero" if above_zero else "zero or more"
        raise ValueError(f"{name} is {least}, not {value}.")


def check_size(name: str, value: object) -> None:
    """Refuse an argument that is no number of things, or less than one.

    Raises:
        TypeError: It is no `int`.
        ValueError: It is less than one.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}.")
    if value < 1:
        raise ValueError(f"{name} is 1 or more, not {value}.")
