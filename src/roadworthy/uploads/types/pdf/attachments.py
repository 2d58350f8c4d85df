"""Files attached to a PDF (ISO 32000-2, 7.11.4): each names its media type.

An attached file is a stream that a file specification names under `/EF`, with its type in
`/Subtype`. Every object with that number has to be such a stream, of an accepted type.
"""

import re
from collections import Counter
from typing import Final

from roadworthy.uploads.stored import KiB
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import ACTIVE_CONTENT, TOO_MANY_ENTRIES
from roadworthy.uploads.types.pdf.names import decoded

__all__ = ["Attachments"]

_SPACE: Final = rb"[\0\t\n\f\r ]"
_OBJECT: Final = re.compile(
    rb"(?<!\d)(\d{1,10})" + _SPACE + rb"{1,8}\d{1,5}" + _SPACE + rb"{1,8}obj(?![a-z])"
)
_NAMED: Final = re.compile(
    rb"/(?:E|#45)(?:F|#46)(?![\w#.-])" + _SPACE + rb"{0,64}(<<[^<>]{0,1024}>>)?"
)
_STREAM: Final = re.compile(rb"(?<!end)stream[\r\n]")
_REFERENCE: Final = re.compile(rb"(\d{1,10})" + _SPACE + rb"+\d{1,5}" + _SPACE + rb"+R(?!\w)")
_SUBTYPE: Final = re.compile(rb"/Subtype" + _SPACE + rb"*(/[\w#.+-]{1,200})")
_AHEAD: Final = 2 * KiB
"""The most bytes of the dictionary of an attached file."""
_MAX_OBJECTS: Final = 200_000
_MAX_FILES: Final = 1_000


class Attachments:
    """Check that all attached files are of accepted types."""

    def __init__(self, media_types: tuple[str, ...]) -> None:
        self._taken = {media_type.lower().encode() for media_type in media_types}
        self._written: Counter[int] = Counter()
        self._fitting: Counter[int] = Counter()
        self._named: set[int] = set()
        self._tail = b"\n"

    def feed(self, data: bytes) -> None:
        """Judge the next bytes of the file."""
        whole = self._tail + data
        end = len(whole) - _AHEAD
        if end > 1:
            self._look(whole, end)
            whole = whole[end - 1 :]  # with the byte that tells whether a number begins
        self._tail = whole

    def finish(self) -> None:
        """Judge the attached files.

        Raises:
            Rejected: An attached file is of another type, or missing.
        """
        self._look(self._tail, len(self._tail))
        if any(not 0 < self._written[one] == self._fitting[one] for one in self._named):
            raise _refused()

    def _look(self, whole: bytes, end: int) -> None:
        for found in _OBJECT.finditer(whole, 1):
            if found.start() < end:
                self._note_object(int(found[1]), whole[found.end() : found.end() + _AHEAD])
        for found in _NAMED.finditer(whole, 1):
            if found.start() < end:
                self._note_named(found[1])

    def _note_object(self, number: int, after: bytes) -> None:
        self._written[number] += 1
        if len(self._written) > _MAX_OBJECTS:
            raise Rejected(TOO_MANY_ENTRIES, "The document has too many objects to be looked at.")
        stream = _STREAM.search(after)
        dictionary = after[: stream.start()] if stream else b""
        subtypes = {decoded(one).lower() for one in _SUBTYPE.findall(dictionary)}
        self._fitting[number] += len(subtypes) == 1 and subtypes <= self._taken

    def _note_named(self, dictionary: bytes | None) -> None:
        numbers = _REFERENCE.findall(dictionary or b"")
        if not numbers or len(self._named) > _MAX_FILES:
            raise _refused()
        self._named.update(map(int, numbers))


def _refused() -> Rejected:
    return Rejected(ACTIVE_CONTENT, "The document has files attached that are of other types.")
