"""`Hidden`: find a second format in a file that has a first one.

Formats differ in where their readers look for them: at an offset, among the first bytes, or
anywhere. Each mark below is so long that it does not come about by chance in what is
compressed: once in some millions of files.
"""

import re
from typing import Final

from roadworthy.uploads.types.filetype import Data, Rejected
from roadworthy.uploads.types.reasons import HIDDEN_FORMAT

__all__ = ["Hidden", "reject"]

_AT: Final[tuple[tuple[int, bytes], ...]] = (
    (4, b"ftyp"),  # MP4 and its kin
    (60, b"BOOKMOBI"),
    (128, b"DICM"),
    (257, b"ustar"),
    (0x8001, b"CD001"),  # ISO 9660
    (0x8801, b"CD001"),
    (0x9001, b"CD001"),
)
_EARLY: Final = re.compile(
    rb"%PDF-|%!PS-Adobe|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|\x7fELF[\x01\x02][\x01\x02]\x01"
)
"""What readers look for among the first bytes."""
_ANYWHERE: Final = re.compile(
    rb"PK\x05\x06\x00\x00\x00\x00|PK\x06\x06[\x2c-\xff]\x00\x00\x00"  # the end of a ZIP
    rb"|PK\x03\x04[\x0a\x14\x2d][\x00\x03\x0b][\x00-\x09][\x00-\x08][\x00\x08]\x00"
    rb"|Rar!\x1a\x07[\x00\x01]|7z\xbc\xaf\x27\x1c\x00|MSCF\x00\x00\x00\x00"
    rb"|\x60\xea[\x00-\xff]{2}[\x1e-\x22][\x01-\x0f]\x01[\x00-\x0b]"  # ARJ
    rb"|(?i:<script[\s>/]|<html[\s>]|<!doctype\s+html|<\?php\s|<iframe[\s>]|<svg[\s>])"
)
_EARLY_BYTES: Final = 1024
_OVERLAP: Final = 32
_LAST_AT: Final = 0x9001 + 5


class Hidden:
    """Look at all bytes of a file for marks of other formats."""

    def __init__(self, *, except_at: frozenset[int] = frozenset()) -> None:
        self._offset = 0
        self._tail = b""
        self._head = bytearray()
        self._marks = [(at, mark) for at, mark in _AT if at not in except_at]

    def feed(self, data: Data) -> None:
        """Take the next bytes.

        Raises:
            Rejected: There is another format.
        """
        if self._offset < _LAST_AT:
            self._look_early(data)
        if _ANYWHERE.search(self._tail + bytes(data[:_OVERLAP])) or _ANYWHERE.search(data):
            reject()
        self._tail = (self._tail + bytes(data[-_OVERLAP:]))[-_OVERLAP:]
        self._offset += len(data)

    def _look_early(self, data: Data) -> None:
        self._head += data[: _LAST_AT - len(self._head)]
        if _EARLY.search(self._head, 0, _EARLY_BYTES + 16):
            reject()
        for at, mark in self._marks:
            if self._head.startswith(mark, at):
                reject()


def reject() -> None:
    """Reject a file that has two faces.

    Raises:
        Rejected: Always.
    """
    raise Rejected(HIDDEN_FORMAT, "The file can be read as one of another format, too.")
