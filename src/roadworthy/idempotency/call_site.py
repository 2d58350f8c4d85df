"""`CallSite`: the line of a user's code that called a library, for errors."""

import linecache
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import currentframe, unwrap
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

from greenlet import getcurrent  # type: ignore[import-untyped] # it has no types

__all__ = ["CallSite", "current_call_site", "raised_by"]

_LIBRARIES: Final = frozenset({"sqlalchemy", "greenlet", "contextlib", "roadworthy", "sqlmodel"})
"""Packages that may stand between a user's line and ours."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A line of a user's code: `await tx.commit()` (shop.py:31, in add_order)."""

    file: str
    line: int
    function: str
    called: str
    """The name of the called function."""

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip() or f"{self.called}()"
        return f"`{text}` ({Path(self.file).name}:{self.line}, in {self.function})"


def current_call_site() -> CallSite | None:
    """Return the line of the user's code that called us."""
    return _first_of_a_user((frame, frame.f_lineno) for frame in _outwards())


def raised_by(error: BaseException, functions: Iterable[Callable[..., Any]]) -> CallSite | None:
    """Return the user's line behind an exception of one of these functions, else None."""
    steps = list(_steps(error.__traceback__))
    codes = {unwrap(function).__code__ for function in functions}
    if not steps or steps[-1][0].f_code not in codes:
        return None
    return _first_of_a_user(reversed(steps))


def _first_of_a_user(places: Iterable[tuple[FrameType, int]]) -> CallSite | None:
    called = ""
    for frame, line in places:
        if not _is_of_a_library(frame):
            code = frame.f_code
            return CallSite(code.co_filename, line, code.co_name, called)
        called = frame.f_code.co_name
    return None


def _is_of_a_library(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    # Wrappers that are compiled at run time have no file.
    return name.partition(".")[0] in _LIBRARIES or frame.f_code.co_filename.startswith("<")


def _outwards() -> Iterator[FrameType]:
    """Yield all frames outwards from here, also those outside SQLAlchemy's greenlets."""
    greenlet: Any = getcurrent()
    frame = currentframe()
    while greenlet is not None:
        while frame is not None:
            yield frame
            frame = frame.f_back
        greenlet = greenlet.parent
        frame = None if greenlet is None else greenlet.gr_frame


def _steps(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next
