"""`PushParser`: write an inspector as a generator that reads a file.

    def lines(source: Pushed) -> Step[None]:
        magic = yield from source.take(4)
        ...
        while not (yield from source.at_end()):
            source.use(...)

    PushParser(lines)  # an Inspector

A format is easier to follow when it is read than when it is fed. The generator stops when the
bytes are used up, wherever they were cut, and goes on with the next ones.
"""

from collections.abc import Callable, Generator
from typing import Final, TypeAlias, TypeVar

from roadworthy.uploads.stored import KiB
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.reasons import TRAILING_DATA, TRUNCATED

__all__ = ["PushParser", "PushedBytes", "Step"]

T = TypeVar("T")
Step: TypeAlias = Generator[None, None, T]
"""A generator to run with `yield from`, which stops while there are no bytes."""

_NOTHING: Final = memoryview(b"")
_FILLING: Final = b"\0\r\n"
_MAX_FILLING: Final = 32 * KiB
"""The most bytes of padding: a cluster of a disk."""


class PushedBytes:
    """The bytes of a file as they are pushed, to be read once and in order."""

    __slots__ = ("_at", "_piece", "_start", "ended")

    def __init__(self) -> None:
        self._piece = _NOTHING
        self._at = self._start = 0
        self.ended = False
        """Whether no more bytes will come."""

    @property
    def offset(self) -> int:
        """The number of bytes that have been read."""
        return self._start + self._at

    @property
    def here(self) -> memoryview:
        """The available bytes. Keep no reference to them."""
        return self._piece[self._at :]

    def use(self, count: int) -> None:
        """Read so many of the available bytes."""
        self._at += count

    def more(self) -> Step[None]:
        """Wait for more bytes; raise `Rejected` at the end of the file."""
        if (yield from self.at_end()):
            raise Rejected(TRUNCATED, "The file ends too early.")

    def at_end(self) -> Step[bool]:
        """Wait until it is known whether the file has ended, and return that."""
        while self._at == len(self._piece):
            if self.ended:
                return True
            yield
        return False

    def take(self, count: int) -> Step[bytes]:
        """Return so many bytes, which should be few: they are copied."""
        end = self._at + count
        if end <= len(self._piece):
            taken = self._piece[self._at : end].tobytes()
            self._at = end
            return taken
        gathered = bytearray()
        while (missing := count - len(gathered)) > 0:
            yield from self.more()
            gathered += self.here[:missing]
            self._at = min(self._at + missing, len(self._piece))
        return bytes(gathered)

    def peek(self, count: int) -> Step[bytes]:
        """Return the next bytes without reading them; fewer at the end of the file."""
        while self._at + count > len(self._piece) and not self.ended:
            kept = self.here.tobytes()
            self._at = len(self._piece)
            yield
            self._piece = memoryview(kept + self._piece)
            self._start -= len(kept)
        return self.here[:count].tobytes()

    def skip(self, count: int) -> Step[None]:
        """Read so many bytes, and ignore them."""
        while count:
            yield from self.more()
            passed = min(count, len(self._piece) - self._at)
            self._at += passed
            count -= passed

    def push(self, data: Data) -> None:
        """Make the next piece available; the last one has been read."""
        self._start += self._at
        self._piece, self._at = memoryview(data), 0

    def release(self) -> None:
        """Drop the reference to the piece: its memory is reused."""
        self.push(_NOTHING)


class PushParser:
    """An inspector that runs a generator; bytes after its end are rejected.

    Up to 32 KiB of zeros and line ends are allowed there: editors, mail programs and disks add
    them to files, and nothing can hide in them.
    """

    def __init__(self, read: Callable[[PushedBytes], Step[None]]) -> None:
        self._source = PushedBytes()
        self._steps = read(self._source)
        self._done = False
        self._filling = 0
        self._run()

    def feed(self, data: Data) -> None:
        """Judge the next bytes of the file."""
        self._source.push(data)
        try:
            self._run()
            if self._done:
                self._pass_filling(bytes(self._source.here))
        finally:
            self._source.release()

    def finish(self) -> None:
        """End the file, and run the generator to its end."""
        self._source.ended = True
        self._run()

    def _pass_filling(self, rest: bytes) -> None:
        self._filling += len(rest)
        if rest.strip(_FILLING) or self._filling > _MAX_FILLING:
            raise Rejected(TRAILING_DATA, "There are bytes after the end of the file.")

    def _run(self) -> None:
        if not self._done:
            try:
                next(self._steps)
            except StopIteration:
                self._done = True
