"""PDF (ISO 32000-2): whole, nothing after its end, and no active content.

A reader finds objects by their offsets, so what looks like a comment, a string or the content of
a stream may be an object, too. Therefore all bytes of the file and all unpacked object streams
are searched for names that make a file act, in every spelling. A name acts where a name belongs
(`names.py`), and not in the text of a link, a title or a bookmark. Page contents and images are
not unpacked. A document may have been updated any number of times; two documents, one after
another, are ambiguous (`revisions.py`).
"""

import re
from collections.abc import Sequence
from typing import Final

from roadworthy.uploads.arguments import check_text, check_type, limited
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.inspecting.filetype import Data, FileType, Rejected
from roadworthy.uploads.types.inspecting.polyglot import ARCHIVES, SingleFormat
from roadworthy.uploads.types.inspecting.reasons import (
    ENCRYPTED,
    HIDDEN_FORMAT,
    TRAILING_DATA,
    TRUNCATED,
)
from roadworthy.uploads.types.pdf.attachments import Attachments
from roadworthy.uploads.types.pdf.names import AHEAD, BEHIND, PdfNames
from roadworthy.uploads.types.pdf.objects import ObjectStreams
from roadworthy.uploads.types.pdf.revisions import Revisions

__all__ = ["PDF", "pdf_within"]

_HEADER: Final = re.compile(rb"%PDF-[12]\.\d")
_ENCRYPT: Final = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
_AFTER_END: Final = re.compile(
    rb"(?:\d{1,10}\s+\d{1,5}\s+obj|xref|trailer|startxref|endstream|%|\Z)"
)
_END: Final = re.compile(rb"startxref[\s\0]+(\d{1,19})[\s\0]+%%EOF\Z")
_WEB: Final = re.compile(rb"(?i:<script|<html|<!doctype html|<\?php)")

_LONGEST_NAME: Final = 128
_OVERLAP: Final = BEHIND + AHEAD + 2 * _LONGEST_NAME
"""Bytes kept of those before: enough to judge a name, and to find the end of a file."""
_FIRST: Final = 1024
_SPACE: Final = b" \t\r\n\f\0"


_ALIASES: Final = (
    "application/x-pdf",
    "application/acrobat",
    "application/nappdf",
    "application/vnd.pdf",
    "image/pdf",
    "text/pdf",
    "text/x-pdf",
)


@limited
def pdf_within(*, max_unpacked: int = 64 * MiB, attachments: Sequence[str] = ()) -> FileType:
    """Make a `PDF` with limits of your own, or one that may have attachments.

    Args:
        max_unpacked: The most bytes that all object streams together unpack to.
        attachments: The media types that attached files may declare, such as
            `["text/xml", "application/xml"]` for the invoices of Factur-X and ZUGFeRD. The
            attached files themselves are not judged: that is for the code that extracts them.
    """
    check_type("attachments", attachments, (list, tuple), "a list", '["text/xml"]')
    for one in attachments:
        check_text("attachments", one, example="text/xml")
    return FileType(
        "application/pdf",
        ".pdf",
        lambda head: _HEADER.match(head) is not None,
        lambda: SingleFormat(_Pdf(max_unpacked, tuple(attachments)), ARCHIVES),
        aliases=_ALIASES,
    )


class _Pdf:
    def __init__(self, max_unpacked: int, attachments: tuple[str, ...]) -> None:
        self._tail = b""
        self._end = b""
        """The last bytes that are no padding."""
        self._judged = 0
        """The offset, in the tail and the next bytes, up to which names have been judged."""
        self._ended = False
        self._begun = False
        self._names = PdfNames(takes_files=bool(attachments))
        self._revisions = Revisions()
        self._objects = ObjectStreams(max_unpacked, self._names)
        self._attachments = Attachments(attachments) if attachments else None

    def feed(self, data: Data) -> None:
        """Judge the next bytes of the file."""
        bytes_ = bytes(data)
        whole = self._tail + bytes_
        if not self._begun and len(whole) >= _FIRST:
            self._begin(whole)
        self._judge_names(whole, len(whole) - AHEAD - _LONGEST_NAME)
        if _ENCRYPT.search(whole):
            raise Rejected(ENCRYPTED, "The document is encrypted.")
        self._look_after_ends(whole)
        self._revisions.feed(bytes_)
        self._objects.feed(bytes_)
        if self._attachments is not None:
            self._attachments.feed(bytes_)
        self._tail = whole[-_OVERLAP:]
        if written := whole.rstrip(_SPACE):
            self._end = written[-_OVERLAP:]
        self._judged = max(0, self._judged - (len(whole) - len(self._tail)))

    def finish(self) -> None:
        """End the file, and judge it as a whole."""
        if not self._begun:
            self._begin(self._tail)
        self._judge_names(self._tail, len(self._tail))
        if not (end := _END.search(self._end)):
            if b"%%EOF" in self._end and self._ended:
                raise Rejected(TRAILING_DATA, "There are bytes after the end of the document.")
            raise Rejected(TRUNCATED, "The document ends too early.")
        self._revisions.finish(int(end[1]))
        self._objects.finish()
        self._names.finish()
        if self._attachments is not None:
            self._attachments.finish()

    def _begin(self, whole: bytes) -> None:
        self._begun = True
        if _WEB.search(whole, 0, _FIRST):
            raise Rejected(HIDDEN_FORMAT, "The document can be read as a page, too.")

    def _judge_names(self, whole: bytes, end: int) -> None:
        """Judge the names around which enough bytes are known."""
        if end > self._judged:
            self._names.judge(whole, self._judged, end)
            self._judged = end

    def _look_after_ends(self, whole: bytes) -> None:
        """Check that an end is followed by a revision or by nothing (7.5.6)."""
        at = whole.find(b"%%EOF", max(0, len(self._tail) - 64))
        while at >= 0:
            self._ended = True
            rest = whole[at + 5 : at + 5 + 256].lstrip(_SPACE)
            if len(rest) >= 32 and not _AFTER_END.match(rest):  # noqa: PLR2004 - longer than any
                raise Rejected(TRAILING_DATA, "There are bytes after the end of the document.")
            at = whole.find(b"%%EOF", at + 5)


PDF: Final = pdf_within()
"""Portable Document Format, without scripts, attachments and encryption."""
