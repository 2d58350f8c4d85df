"""`JsonOrLines`: tell JSON from lines of JSON, where a route accepts both.

Only the whole file tells. A single value on one line is either: JSON, unless the client declares
lines. Several values, each on its own line, are lines. So both readers get the file, until one of
them gives up.
"""

from collections.abc import Callable, Sequence

from roadworthy.uploads.types.inspecting.filetype import Data, FileType, Inspector, Rejected
from roadworthy.uploads.types.inspecting.reasons import TRAILING_DATA

__all__ = ["JsonOrLines"]


class JsonOrLines:
    """Judge a file that may be JSON or lines of JSON, and tell its type in the end."""

    def __init__(self, kinds: Sequence[FileType], guess: FileType) -> None:
        self.kind = guess
        """The type of the file, once the file is whole."""
        self._guess = guess
        ordered = sorted(kinds, key=lambda kind: (kind != guess, kind.breadth))
        self._readers: dict[FileType, Inspector] = {kind: kind.inspector() for kind in ordered}
        self._rejected: dict[FileType, Rejected] = {}

    def feed(self, data: Data) -> None:
        """Judge the next bytes of the file.

        Raises:
            Rejected: The file is of neither type.
        """
        self._each(lambda reader: reader.feed(data))

    def finish(self) -> None:
        """Tell the type of the file.

        Raises:
            Rejected: The file is of neither type.
        """
        self._each(lambda reader: reader.finish())
        self.kind = next(iter(self._readers))

    def _each(self, take: Callable[[Inspector], None]) -> None:
        for kind, reader in list(self._readers.items()):
            try:
                take(reader)
            except Rejected as rejected:
                self._rejected[kind] = rejected
                del self._readers[kind]
        if not self._readers:
            raise self._reason()

    def _reason(self) -> Rejected:
        """Return why the likeliest reader rejected the file, or the other one."""
        first = self._rejected[self._guess]
        others = [each for kind, each in self._rejected.items() if kind != self._guess]
        is_lines = first.reason == TRAILING_DATA and not self._guess.breadth
        return others[0] if is_lines and others else first
