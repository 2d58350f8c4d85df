"""Check arguments when an object is made; errors name the argument to change."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["check_limits", "check_number", "check_text", "check_type", "limited"]

P = ParamSpec("P")
R = TypeVar("R")

_MAY_BE_ZERO: Final = frozenset({"max_inflated", "max_unpacked"})
"""Limits for which 0 has a meaning: nothing is unpacked to be checked."""


def check_number(name: str, value: object, *, least: int = 1, example: str = "10") -> None:
    """Refuse an argument that is no whole number, or is too small.

    Raises:
        TypeError: The argument is no `int`.
        ValueError: The argument is less than `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        kind = type(value).__name__
        raise TypeError(f"{name} is a whole number, not {kind}: write {name}={example}.")
    if value < least:
        raise ValueError(f"{name} is {least} or more, not {value}: write {name}={example}.")


def check_text(name: str, value: object, *, example: str, empty: bool = False) -> None:
    """Refuse an argument that is no text, or is empty.

    Raises:
        TypeError: The argument is no `str`.
        ValueError: The argument is empty.
    """
    check_type(name, value, str, "text", example)
    if not value and not empty:
        raise ValueError(f'{name} is empty: write {name}="{example}".')


def check_type(name: str, value: object, kind: Any, what: str, example: str) -> None:
    """Refuse an argument of another type.

    Raises:
        TypeError: The argument is of another type than `kind`.
    """
    if not isinstance(value, kind):
        shown = f'"{example}"' if kind is str else example
        raise TypeError(f"{name} is {what}, not {type(value).__name__}: write {name}={shown}.")


def check_limits(limits: Iterable[tuple[str, object]]) -> None:
    """Refuse limits of a file type that are no numbers, or too small to be limits.

    Raises:
        TypeError: A limit is no number.
        ValueError: A limit is too small.
    """
    for name, value in limits:
        if name.endswith("_ratio") and isinstance(value, float):
            if not value >= 1:
                raise ValueError(f"{name} is 1 or more, not {value}: write {name}=100.")
        else:
            check_number(name, value, least=0 if name in _MAY_BE_ZERO else 1, example="1000")


def limited(make: Callable[P, R]) -> Callable[P, R]:
    """Check the `max_...` arguments of a function that makes a file type."""

    @wraps(make)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        check_limits((name, value) for name, value in kwargs.items() if name.startswith("max_"))
        return make(*args, **kwargs)

    return checked
