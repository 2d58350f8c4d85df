"""Report calls of an `AsyncSession`'s methods that were not awaited.

Such a call only makes a coroutine, which does nothing: the request would be answered as if
everything had been written.
"""

# pyright: reportPrivateUsage=false

import inspect
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy.database.crossing import on_event_loop

__all__ = ["Unawaited", "check_awaited", "telling_awaits"]

_KEY: Final = "roadworthy.unawaited"


class Unawaited(RuntimeError):
    """A method of an `AsyncSession` was not awaited, and so did nothing (500)."""


_classes: dict[type[AsyncSession], type[AsyncSession]] = {}


def telling_awaits(kind: type[AsyncSession]) -> type[AsyncSession]:
    """Return the session class with methods that remember calls without an await."""
    if kind not in _classes:
        _classes[kind] = _make(kind)
    return _classes[kind]


def check_awaited(session: AsyncSession) -> None:
    """Check that all calls of a session's methods were awaited.

    Raises:
        Unawaited: A call was not; the text names the method and the line.
    """
    for made, place in session.info.pop(_KEY, ()):
        if inspect.getcoroutinestate(made) == inspect.CORO_CREATED:
            made.close()  # reported here, so Python need not warn of it later
            raise Unawaited(_FORGOTTEN.format(place=place, method=made.__name__))


def _make(kind: type[AsyncSession]) -> type[AsyncSession]:
    names = [name for name in dir(kind) if not name.startswith("_")]
    methods = {
        name: _telling(getattr(kind, name))
        for name in names
        if inspect.iscoroutinefunction(getattr(kind, name))
    }
    named = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), {**methods, **named})


def _telling(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: AsyncSession, *args: Any, **kwargs: Any) -> Any:
        if not on_event_loop():
            raise Unawaited(_IN_A_THREAD.format(place=_place(), method=method.__name__))
        made = method(self, *args, **kwargs)
        _note(self, made)
        return made

    return call


def _note(session: AsyncSession, made: Coroutine[Any, Any, Any]) -> None:
    asked: list[tuple[Any, str]] = session.info.setdefault(_KEY, [])
    while asked and inspect.getcoroutinestate(asked[-1][0]) != inspect.CORO_CREATED:
        asked.pop()
    asked.append((made, _place()))


def _place() -> str:
    """Return the place of the call."""
    frame = sys._getframe(2)  # noqa: SLF001 - the cheap way to it
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


_FORGOTTEN: Final = (
    "{place} called {method}() of a session and did not await it, so that nothing was done. "
    "Nothing is committed. Write `await session.{method}(...)` there."
)
_IN_A_THREAD: Final = (
    "{place} called {method}() of an AsyncSession in a thread, where nobody awaits it. Declare "
    "the function `async def` and await it, or take `tx: SyncTx` (of roadworthy.database), whose "
    "`tx.{method}(...)` needs no await."
)
