"""`PolyglotScan` and `SingleFormat`: refuse files that are of a second format too.

A format can hide in a file of another format if its readers search for it at any offset (ZIP,
7z, RAR, ARJ, PDF, HTML, PHP) or at a fixed one (DICOM, tar, ISO 9660). Other formats have to begin
at the first byte.
"""

import re
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Data, Inspector, Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, Step
from roadworthy.uploads.types.inspecting.reasons import HIDDEN_FORMAT

__all__ = [
    "ANYWHERE",
    "ARCHIVES",
    "IN_METADATA",
    "PolyglotScan",
    "SingleFormat",
    "look_at",
    "look_through",
]

# Each begins with a literal: ten times as fast to search as one pattern of all.
# None is shorter than five bytes: a shorter one occurs by chance in 2**30 pixels.
ARCHIVES: Final = (
    re.compile(
        rb"PK(?:\x03\x04[\0-\x3f]\0[\0-\xff][\0\x08][\0-\x63]\0"
        rb"|\x05\x06\0{4}|\x06\x06[\0-\xff]{3}\0)"
    ),
    re.compile(rb"7z\xbc\xaf\x27\x1c"),
    re.compile(rb"Rar!\x1a\x07"),
    # A main header: its size, that of its fixed part, versions, system, flags, type.
    re.compile(
        rb"\x60\xea[\0-\xff][\0-\x0a][\x1e-\x30][\1-\x7f][\1-\x0f][\0-\x0f][\0-\xff]{2}\x02"
    ),
)
"""How archives begin or end: more than four bytes, which could occur by chance."""
ANYWHERE: Final = (
    *ARCHIVES,
    re.compile(rb"%PDF-"),
    re.compile(rb"<(?i:\?php|script|html|iframe|!doctype html)[\s>]"),
    # PHP's short tags, with code after them: alone they occur by chance.
    re.compile(rb"<\?(?:[a-z_]{6,12}\(|=[ @(]{0,3}(?:\$\w|[a-z_]{4,12}\(|`[ -~]{2,16}`))"),
)
"""Patterns that do not occur by chance in compressed pixels."""
IN_METADATA: Final = (re.compile(rb"PK(?:\x03\x04|\x01\x02|\x05\x06)"), re.compile(rb"RE~\^"))
"""Patterns that occur by chance in pixels, but not in metadata."""

_IN_FEW_BYTES: Final = re.compile(b"|".join(each.pattern for each in (*ANYWHERE, *IN_METADATA)))
_FIXED: Final = ((128, b"DICM"), (257, b"ustar"), (0x8001, b"CD001"), (0x8801, b"CD001"))
_LONGEST: Final = 24
# Sizes whose bytes open a comment, so that the file is JavaScript, too.
_SCRIPTS: Final = re.compile(rb"(?:GIF8[79]a|BM|RIFF|\xff\xd8\xff[\xe0-\xef])/\*")
_SCRIPT_BYTES: Final = 8


class PolyglotScan:
    """Search bytes, cut anywhere, for the beginnings of other formats."""

    __slots__ = ("_patterns", "_tail")

    def __init__(self, patterns: tuple[re.Pattern[bytes], ...]) -> None:
        self._patterns = patterns
        self._tail = b""

    def look(self, data: Data) -> None:
        """Search the next bytes, and the seam to the bytes before.

        Raises:
            Rejected: Another format begins here.
        """
        seam = self._tail + bytes(data[:_LONGEST])
        for pattern in self._patterns:
            if pattern.search(seam) or (len(data) > _LONGEST and pattern.search(data)):
                raise _hidden()
        self._tail = (seam if len(data) <= _LONGEST else bytes(data[-_LONGEST:]))[-_LONGEST:]


class SingleFormat:
    """An inspector that refuses a second format, around another inspector."""

    def __init__(
        self, inspector: Inspector, patterns: tuple[re.Pattern[bytes], ...] = ANYWHERE
    ) -> None:
        self._inspector, self._scan = inspector, PolyglotScan(patterns)
        self._head: bytearray | None = bytearray()

    def feed(self, data: Data) -> None:
        """Search the next bytes, and pass them on."""
        if self._head is not None:
            self._look_at_fixed(self._head, data)
        self._scan.look(data)
        self._inspector.feed(data)

    def finish(self) -> None:
        """End the file for the inspector inside."""
        self._inspector.finish()

    def _look_at_fixed(self, head: bytearray, data: Data) -> None:
        last, magic = _FIXED[-1]
        end = last + len(magic)
        before = len(head)
        head += data[: end - before]
        if before < _SCRIPT_BYTES and _SCRIPTS.match(head):
            raise _hidden()
        if any(head.startswith(magic, offset) for offset, magic in _FIXED):
            raise _hidden()
        if len(head) == end:
            self._head = None


def look_at(metadata: bytes) -> None:
    """Search a few bytes, such as metadata, for other formats.

    Raises:
        Rejected: Another format begins here.
    """
    if _IN_FEW_BYTES.search(metadata):
        raise _hidden()


def look_through(source: PushedBytes, count: int, scan: PolyglotScan) -> Step[None]:
    """Read and search so many bytes."""
    while count:
        yield from source.more()
        seen = source.here[:count]
        scan.look(seen)
        count -= len(seen)
        source.use(len(seen))


def _hidden() -> Rejected:
    return Rejected(HIDDEN_FORMAT, "The file can be read as one of another format, too.")
