"""What a worker process and its parent send each other: frames of pickles.

A frame is a kind, a length, and pickles. Functions travel by their names.
"""

import inspect
import io
import pickle  # what is unpickled comes from the parent or the child of this process
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial, reduce
from importlib import import_module
from types import FunctionType
from typing import Any, Final, cast

__all__ = [
    "CallSettings",
    "CannotPickle",
    "FrameKind",
    "Portable",
    "name_of",
    "pack",
    "portable",
    "read_frame",
    "unpack",
    "write_frame",
]

_HEADER: Final = struct.Struct("!BQ")
_SMALL_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 1024 * 1024


class CannotPickle(TypeError):
    """A function, its arguments or its result cannot go from one process to another."""


class FrameKind(IntEnum):
    """What a frame says."""

    BOOT = 0
    READY = 1
    CALL = 2
    STARTED = 3
    PROGRESS = 4
    RETURNED = 5
    RAISED = 6


def write_frame(pipe: io.FileIO, kind: FrameKind, body: Sequence[bytes] = ()) -> None:
    """Write a whole frame, however often the pipe has to be emptied for it."""
    size = sum(map(len, body))
    parts = [_HEADER.pack(kind, size), *body]
    for part in [b"".join(parts)] if size < _SMALL_BYTES else parts:
        rest = memoryview(part)
        while rest:
            rest = rest[pipe.write(rest) :]


def read_frame(pipe: io.FileIO) -> tuple[FrameKind, bytearray]:
    """Read the next frame.

    Raises:
        EOFError: Nobody will write any more.
    """
    kind, size = _HEADER.unpack(_read_exactly(pipe, _HEADER.size))
    return FrameKind(kind), _read_exactly(pipe, size)


def _read_exactly(pipe: io.FileIO, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = pipe.readinto(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data


# The pickler written in C holds the interpreter's lock from beginning to end, which for a
# million objects stops the event loop for a second. It gives way where it calls a function
# written in Python, as it does for each 64 KiB where it writes to, and reads from, one of
# these. They copy little, and in pieces, because copying holds the lock as well.


class _Sink:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(data)
        return len(data)


class _Source:
    def __init__(self, data: bytes | bytearray) -> None:
        self._rest = memoryview(data)

    def read(self, size: int) -> bytes:
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def readline(self) -> bytes:
        raise NotImplementedError  # of protocol 0, which nobody writes here

    def readinto(self, buffer: Any) -> int:
        target, at = memoryview(buffer).cast("B"), 0
        while at < len(target) and self._rest:
            piece = self._rest[: min(_PIECE_BYTES, len(target) - at)]
            target[at : at + len(piece)] = piece
            at, self._rest = at + len(piece), self._rest[len(piece) :]
        return at


def pack(*values: object) -> list[bytes]:
    """Pickle values one after the other, so that they can be read one by one."""
    sink = _Sink()
    for value in values:
        pickle.Pickler(sink, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return sink.parts


def unpack(data: bytes | bytearray) -> Iterator[Any]:
    """Yield the values that were packed."""
    source = _Source(data)
    while True:
        yield pickle.Unpickler(source).load()  # noqa: S301 - see the import


@dataclass(frozen=True, slots=True)
class _Named:
    """A function by its name, and how many decorators to remove from it."""

    module: str
    qualname: str
    wrappers: int

    def find(self) -> Any:
        found = reduce(getattr, self.qualname.split("."), import_module(self.module))
        for _ in range(self.wrappers):
            found = found.__wrapped__
        return found


@dataclass(frozen=True, slots=True)
class Portable:
    """A call that another process can make."""

    function: Any
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def open(self) -> Callable[[], Any]:
        """Return the call, in the process that makes it."""
        named = isinstance(self.function, _Named)
        function = self.function.find() if named else self.function
        return partial(function, *self.args, **self.keywords)


def portable(call: Callable[[], object]) -> Portable:
    """Check that another process can find this function, or `partial` of a function.

    Raises:
        CannotPickle: It is a lambda, a closure, async, or not what its name stands for.
    """
    whole = cast("partial[object]", call) if isinstance(call, partial) else partial(call)
    function: Any = whole.func
    if inspect.iscoroutinefunction(function):
        raise CannotPickle(f"{name_of(function)} is async: worker processes run plain functions.")
    if isinstance(function, FunctionType):
        function = _named(function)
    return Portable(function, whole.args, whole.keywords)


def _named(function: FunctionType) -> _Named:
    module, qualname = function.__module__, function.__qualname__
    if "<" in qualname:  # <lambda>, <locals>
        raise CannotPickle(f"{name_of(function)} must be importable: define it at module level.")
    if module == "__main__" and not hasattr(sys.modules[module], "__file__"):
        raise CannotPickle(f"{name_of(function)} must be importable: define it in a file.")
    for wrappers, found in enumerate(_unwrapped(_look_up(module, qualname))):
        if found is function:
            return _Named(module, qualname, wrappers)
    raise CannotPickle(
        f"{name_of(function)} must be importable, and that name stands for something else. "
        "If a decorator replaced the function, use functools.wraps (or set __wrapped__) in it."
    )


def _look_up(module: str, qualname: str) -> Any:
    try:
        return _Named(module, qualname, 0).find()
    except (AttributeError, ImportError):
        return None


def _unwrapped(found: Any) -> Iterator[Any]:
    while found is not None:
        yield found
        found = getattr(found, "__wrapped__", None)


def name_of(function: Any) -> str:
    """Return the module and qualified name of a function, for messages."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What a call brings along besides its arguments."""

    request_id: str | None = None
    max_memory: int | None = None
