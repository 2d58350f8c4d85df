"""`Progress`: one line of a terminal that shows how far a command is."""

from time import monotonic
from types import TracebackType
from typing import Final, Self, TextIO

__all__ = ["Progress"]

_AFTER: Final = 0.5
"""Seconds before the first word: what is done at once needs none."""
_EVERY: Final = 0.1


class Progress:
    """Show how many of how many files are read, and clear the line at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = monotonic() + _AFTER
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def __call__(self, done: int, of: int) -> None:
        """Show it, if it is time to."""
        if self._stream.isatty() and monotonic() >= self._next:
            self._next = monotonic() + _EVERY
            self._shown = True
            self._stream.write(f"\rReading {done} of {of} files")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that something else can be written there."""
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._shown = False
