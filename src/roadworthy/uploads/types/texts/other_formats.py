"""Refuse texts that begin as a file of another format, or can be read as a PDF.

Markup, scripts and formats with a signature are no text. Anything else may be text, and is
rejected later if it has control characters.
"""

import re
from typing import Final

from roadworthy.uploads.types.images import formats
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.reasons import HIDDEN_FORMAT

__all__ = ["HiddenPdf", "claims_another_type"]

_SIGNATURES: Final = (
    rb"(?:\xef\xbb\xbf)?\s*(?:<[A-Za-z!?/]|%PDF-)",  # markup, and names that readers of PDF accept
    rb"#!|%!|\{\\rtf",
    *(one.begins for one in formats.SHOWN),
    rb"GIF8|\x89PNG|\x8aMNG|RIFF....(?:WAVE|AVI )",
    rb"BM....\0\0\0\0|\0\0[\x01\x02]\0",
    rb"II\*\0|MM\0\*|8BPS\0|\0\0\0.ftyp|\0\0\0\x0cJXL |\xff\x0a.\0|IC3\0",
    rb"PK(?:\x03\x04|\x05\x06|\x07\x08)|\x1f[\x8b\x9d\xa0]|BZh|\xfd7zXZ\0|7z\xbc\xaf|Rar!\x1a",
    rb"\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|MSCF\0|!<arch>\n|\xed\xab\xee\xdb",
    rb"OggS|fLaC|ID3[\x02-\x04]\0|\xff[\xf1\xf3\xf9\xfa\xfb]",
    rb"FLV\x01|\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]",
    rb"\x7fELF|MZ[\0-\xff]{0,2}[\0-\x08]|\xca\xfe\xba\xbe|\xfe\xed\xfa[\xce\xcf]",
    rb"[\xce\xcf]\xfa\xed\xfe|\0asm|dex\n|L\0\0\0\x01\x14\x02\0",
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|SQLite format 3\0|wOF[F2]|\0\x01\0\0\0|OTTO\0|PAR1",
)
_CLAIMED: Final = re.compile(b"|".join(_SIGNATURES), re.DOTALL)

_PDF_BYTES: Final = 1024
"""Bytes in which readers of PDF search for its beginning."""
_PDF: Final = b"%PDF-"
_OBJECT: Final = re.compile(rb"(?<![A-Za-z])obj(?![A-Za-z])")
_OVERLAP: Final = 4


def claims_another_type(head: bytes) -> bool:
    """Return whether a file begins like a format that is no text."""
    return _CLAIMED.match(head) is not None


class HiddenPdf:
    """Refuse a text that has the beginning of a PDF and a PDF object in it."""

    def __init__(self) -> None:
        self._is_named: bool | None = None
        self._seen = b""

    def feed(self, data: Data) -> None:
        """Judge the next bytes of the file.

        Raises:
            Rejected: Readers of PDF would open the text.
        """
        if self._is_named is False:
            return
        seen = self._seen + bytes(data)
        if self._is_named is None:
            self._is_named = _is_named(seen)
        if self._is_named and _OBJECT.search(seen + b"x" if seen.endswith(b"j") else seen):
            raise Rejected(HIDDEN_FORMAT, "The text can be read as a PDF, too.")
        self._seen = seen if self._is_named is None else seen[-_OVERLAP:]


def _is_named(head: bytes) -> bool | None:
    """Return whether the beginning names PDF, None where that is not known yet."""
    if head.find(_PDF, 0, _PDF_BYTES + len(_PDF)) >= 0:
        return True
    return False if len(head) >= _PDF_BYTES + len(_PDF) else None
