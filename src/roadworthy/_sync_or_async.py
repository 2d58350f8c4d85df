"""Refuse at start a `def` route that asks for a `Tx`, and an `async def` route with a `SyncTx`.

The methods of a `Tx` must be awaited: called in a `def` route they would do nothing. Those of a
`SyncTx` wait for the database: in an `async def` route they would block the event loop.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from roadworthy import _fastapi

__all__ = ["check_sync_or_async", "for_async_routes", "for_sync_routes", "is_for_sync_routes"]

F = TypeVar("F", bound=Callable[..., Any])

_USE: Final = "__roadworthy_use__"


class _Use(NamedTuple):
    is_awaited: bool
    refusal: str


def for_async_routes(refusal: str) -> Callable[[F], F]:
    """Declare that only `async def` routes can use the value of a dependency.

    Args:
        refusal: The text of the error, with `{route}` and `{parameter}` to fill in.
    """
    return _declare(_Use(is_awaited=True, refusal=refusal))


def for_sync_routes(refusal: str) -> Callable[[F], F]:
    """Declare that only `def` routes can use the value of a dependency."""
    return _declare(_Use(is_awaited=False, refusal=refusal))


def is_for_sync_routes(dependency: Any) -> bool:
    """Return whether only `def` routes can use the value of a dependency."""
    use: _Use | None = getattr(dependency, _USE, None)
    return use is not None and not use.is_awaited


def check_sync_or_async(route: Any, overrides: dict[Any, Any]) -> None:
    """Check that a route can use the values of its dependencies.

    Raises:
        TypeError: It cannot use one of them; the text says what to write.
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
