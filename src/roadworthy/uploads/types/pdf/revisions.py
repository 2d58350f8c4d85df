"""Tell a PDF that was updated from two PDFs, one after another.

An update is appended behind `%%EOF`, with a cross-reference table of its own and no header
(ISO 32000-2, 7.5.6); its offsets count from the beginning of the file. A second header is
the beginning of a second document, whose offsets count from there: readers that search for the
first header show one document, those that search from the end show the other, or a mixture. A
header in the content of an attached file changes no offset.
"""

import re
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import AMBIGUOUS

__all__ = ["Revisions"]

_MARKS: Final = re.compile(rb"%%EOF|%PDF-\d|(?<![A-Za-z])xref(?![A-Za-z])|/XRef(?![A-Za-z])")
_LONGEST: Final = 8
_DICTIONARY: Final = 4096
"""Bytes from the beginning of a table that is a stream to the name of its type."""
_MAX_TABLES: Final = 4096
_MAX_HEADERS: Final = 64


class Revisions:
    """Collect cross-reference tables and headers, to compare with the last table."""

    def __init__(self) -> None:
        self._tail = b""
        self._start = self._from = 0
        """The offset of the tail in the file, and how much of the tail has been searched."""
        self._ended = False
        self._headers: list[int] = []
        self._tables: list[int] = []
        self._streams: list[int] = []

    def feed(self, data: bytes) -> None:
        """Judge the next bytes of the file."""
        whole = self._tail + data
        end = len(whole) - _LONGEST + 1  # what begins later may go on in the next bytes
        for mark in _MARKS.finditer(whole, self._from):
            if mark.start() < end:
                self._note(mark[0], self._start + mark.start())
        kept = max(0, end - 1)  # with the letter before it, which tells xref from startxref
        self._from = max(0, end) - kept
        self._start += kept
        self._tail = whole[kept:]

    def finish(self, last: int) -> None:
        """Judge the file by the offset of its last table, which `startxref` names.

        Raises:
            Rejected: The file holds two documents.
        """
        self.feed(b" " * _LONGEST)
        is_second = any(self._is_table(header + last) for header in self._headers)
        if self._headers and (is_second or not self._is_table(last)):
            message = "There are two documents in the file, one after the other."
            raise Rejected(AMBIGUOUS, message)

    def _note(self, mark: bytes, at: int) -> None:
        if mark == b"%%EOF":
            self._ended = True
        elif mark.startswith(b"%PDF"):
            if self._ended and len(self._headers) < _MAX_HEADERS:
                self._headers.append(at)
        else:
            tables = self._streams if mark.startswith(b"/") else self._tables
            if len(tables) < _MAX_TABLES:
                tables.append(at)

    def _is_table(self, at: int) -> bool:
        return at in self._tables or any(at < one < at + _DICTIONARY for one in self._streams)
