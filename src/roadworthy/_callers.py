"""Refuse at start a route that cannot use the object that a dependency gives to it.

What must be awaited is of no use to a `def` route, where a call of it does nothing, and what
waits for an answer would hold up the event loop in an `async def` route.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from roadworthy import _fastapi

__all__ = ["awaited", "called", "check_callers", "is_called"]

F = TypeVar("F", bound=Callable[..., Any])

_USE: Final = "__roadworthy_use__"


class _Use(NamedTuple):
    is_awaited: bool
    refusal: str


def awaited(refusal: str) -> Callable[[F], F]:
    """Declare that only `async def` routes can use what a dependency gives.

    The refusal names the `{route}` and its `{parameter}`.
    """
    return _declare(_Use(is_awaited=True, refusal=refusal))


def called(refusal: str) -> Callable[[F], F]:
    """Declare that only `def` routes can use what a dependency gives."""
    return _declare(_Use(is_awaited=False, refusal=refusal))


def is_called(dependency: Any) -> bool:
    """Return whether a dependency declares that only `def` routes can use what it gives."""
    use: _Use | None = getattr(dependency, _USE, None)
    return use is not None and not use.is_awaited


def check_callers(route: Any, overrides: dict[Any, Any]) -> None:
    """Check that a route can use the objects that its dependencies give to it.

    Raises:
        TypeError: It cannot; the text says what to write.
    """
    for child in route.dependant.dependencies:
        use: _Use | None = getattr(overrides.get(child.call, child.call), _USE, None)
        if use and child.name and use.is_awaited != _fastapi.may_await(route.dependant):
            raise TypeError(use.refusal.format(route=route.path, parameter=child.name))


def _declare(use: _Use) -> Callable[[F], F]:
    def declare(dependency: F) -> F:
        setattr(dependency, _USE, use)
        return dependency

    return declare
