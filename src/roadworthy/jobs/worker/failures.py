"""`describe`: the code and the text of an exception that a task raised.

Exceptions are code of the application: `str()` may raise, return no text, or never end. None of
that may keep an attempt from being recorded as failed.
"""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast
from weakref import WeakSet

from roadworthy._internal.traces import trace_of
from roadworthy.jobs.job import GiveUp
from roadworthy.jobs.processes.pool import FailedInProcess
from roadworthy.jobs.table.ledger import Failure
from roadworthy.jobs.worker.tiers import TimedOut
from roadworthy.problems import Problem

__all__ = ["Crash", "Described", "Untold", "describe", "passes", "run_last"]

_PATIENCE: Final = 1.0
"""Seconds that exceptions have to return their text."""
_MAX_CHAIN: Final = 100
_CODES: Final[dict[type[BaseException], str]] = {
    GiveUp: "GAVE_UP",
    MemoryError: "OUT_OF_MEMORY",
    TimedOut: "TIMED_OUT",
}
_PLAIN: Final = (str, int, float, bool, bytes, type(None))
_endless: "WeakSet[type[BaseException]]" = WeakSet()
"""Classes whose text did not come in time, and that are not asked again."""


class Crash(BaseException):
    """Lets a worker die in a test; nothing on the way may catch it."""


class Untold(Exception):
    """Stand in the log for an exception whose text never comes."""


@dataclass(frozen=True, slots=True)
class Described:
    """How an attempt failed, and the exception as a log may print it."""

    failure: Failure
    error: BaseException


def passes(error: BaseException) -> bool:
    """Return whether an exception ends the coroutine around, and not only an attempt."""
    if isinstance(error, Crash):
        return True
    if isinstance(error, asyncio.CancelledError):
        current = asyncio.current_task()
        return current is None or current.cancelling() > 0
    return isinstance(error, GeneratorExit) and not _in_a_task()


async def describe(error: BaseException) -> Described:
    """Return the description of an exception, whatever the code of its class does."""
    name = _name(error)
    text = _text(error) if _is_plain(error) else await _text_in_time(error)
    if text is not None:
        return Described(Failure(_code(error, name), f"{name}: {text}", _trace(error)), error)
    told = f"{name}: its text does not come: its __str__, or that of its cause, does not end."
    stands_in = Untold(told).with_traceback(error.__traceback__)
    return Described(Failure(_code(error, name), told, _trace(error)), stands_in)


def run_last(failure: Failure) -> Failure:
    """Return a failure that any database can record, in place of a refused one."""
    code = failure.code if re.fullmatch(r"[A-Z0-9_]{1,100}", failure.code) else "FAILED"
    text = "How it failed could not be recorded; the log has it."
    return Failure(code, text, attempted=failure.attempted)


def _in_a_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def _name(error: BaseException) -> str:
    with suppress(Exception):  # a metaclass may answer anything
        return str(type(error).__name__)
    return "BaseException"


def _trace(error: BaseException) -> str | None:
    try:
        return trace_of(error)
    except Exception:  # the parts of a trace may be properties of the application
        return None


def _code(error: BaseException, name: str) -> str:
    if isinstance(error, Problem):
        with suppress(Exception):  # it may be a property of the application
            return str(error.code)
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    if isinstance(error, FailedInProcess):
        name = error.kind
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield all exceptions that a traceback of `error` prints."""
    todo, seen = [error], set[int]()
    while todo and len(seen) < _MAX_CHAIN:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            todo += cast("tuple[BaseException, ...]", one.exceptions)


def _is_plain(error: BaseException) -> bool:
    """Return whether only Python's own code makes the texts of exceptions."""
    try:
        return all(
            not hasattr(type(one).__str__, "__code__")
            and not hasattr(type(one).__repr__, "__code__")
            and all(type(arg) in _PLAIN for arg in one.args)
            for one in _chain(error)
        )
    except Exception:  # `args` may be a property of the application's
        return False


def _text(error: BaseException) -> str:
    try:
        return "".join(("", str(error)))  # of a class of its own, it would be that still
    except BaseException as raised:  # whatever it is, there is no text
        return f"its text cannot be told ({_name(raised)})"


async def _text_in_time(error: BaseException) -> str | None:
    """Return the text, once every exception of the traceback has its own; None if late.

    The exceptions are asked in a thread, so that the event loop goes on. A thread that does not
    end ends with the process.
    """
    kinds = {type(one) for one in _chain(error)}
    if not kinds.isdisjoint(_endless):
        return None
    loop, told = asyncio.get_running_loop(), list[str]()
    ended = asyncio.Event()

    def ask() -> None:
        told.extend(_text(one) for one in _chain(error))
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=ask, name="roadworthy-text", daemon=True).start()
    try:
        async with asyncio.timeout(_PATIENCE):
            await ended.wait()
    except TimeoutError:
        _endless.update(kind for kind in kinds if hasattr(kind.__str__, "__code__"))
        return None
    return told[0]
