"""Check durations and sizes where they are written, by the argument's name."""

from datetime import timedelta

__all__ = ["check_duration", "check_size", "duration"]


def check_duration(name: str, value: object, *, above_zero: bool = False) -> None:
    """Refuse an argument that is no duration: numbers have no unit.

    Raises:
        TypeError: It is no `timedelta`.
        ValueError: It is negative, or zero where that means nothing.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    example = f"timedelta(seconds={value})" if number else "timedelta(seconds=5)"
    zero = timedelta(0)
    bounds = (None, zero) if above_zero else (zero, None)
    duration(value, name, example=example, least=bounds[0], above=bounds[1])


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
