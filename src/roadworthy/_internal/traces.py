"""`trace_of`: where an exception came from, in types and frames only.

Messages and lines of source are left out: both may hold what users have sent. Worker
processes of jobs load this file by itself: it needs the standard library only.
"""

from collections.abc import Iterator
from itertools import islice
from traceback import walk_tb
from types import TracebackType
from typing import Final, cast

__all__ = ["MAX_TRACE", "ToldElsewhere", "trace_of"]

MAX_TRACE: Final = 8000
"""Characters that are kept: the last ones, where it failed."""
_MAX_FRAMES: Final = 50
"""Frames of one exception: the innermost ones."""
_MAX_EXCEPTIONS: Final = 10
"""Exceptions that are told of, causes and members of groups together."""

_CAUSE: Final = "The above exception was the direct cause of the following exception:"
_CONTEXT: Final = "During handling of the above exception, another exception occurred:"


class ToldElsewhere(Exception):
    """Stand as the `__cause__` of an exception that was raised in another process."""

    trace: str
    """What that process told of it."""


def trace_of(error: BaseException) -> str:
    """Return the frames of an exception and of its causes, the innermost frame last."""
    told = list(islice(_chain(error), _MAX_EXCEPTIONS))
    text = "\n".join(
        line for exception, joint in reversed(told) for line in _told(exception, joint)
    )
    return text if len(text) <= MAX_TRACE else f"[...]{text[-MAX_TRACE + 5 :]}"


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield an exception and those before it, each with what joins it to the next."""
    seen = set[int]()
    here: BaseException | None = error
    joint = ""
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here, joint
        if here.__cause__ is not None:
            here, joint = here.__cause__, _CAUSE
        else:
            here, joint = None if here.__suppress_context__ else here.__context__, _CONTEXT


def _told(error: BaseException, joint: str) -> list[str]:
    lines = [*_frames(error), *_members(error)]
    return [*lines, "", joint, ""] if joint else lines


def _frames(error: BaseException) -> list[str]:
    if isinstance(error, ToldElsewhere):
        return [f"In a worker process:\n{error.trace}"]
    head = "Traceback (most recent call last):"
    return [head, *_stack(error.__traceback__), type(error).__name__]


def _stack(trace: TracebackType | None) -> list[str]:
    frames = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        for frame, line in walk_tb(trace)
    ]
    more = len(frames) - _MAX_FRAMES
    return [f"  [{more} frames more]", *frames[-_MAX_FRAMES:]] if more > 0 else frames


def _members(error: BaseException) -> list[str]:
    """Return the lines of the exceptions that a group holds."""
    if not isinstance(error, BaseExceptionGroup):
        return []
    lines: list[str] = []
    members = cast("BaseExceptionGroup[BaseException]", error).exceptions
    for number, member in enumerate(members[:_MAX_EXCEPTIONS], 1):
        lines.append(f"  -- {number} of {len(members)}")
        lines += [f"  {line}" for line in _frames(member)]
    return lines
