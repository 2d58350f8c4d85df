"""CSV: rows of fields, quoted by RFC 4180.

Fields are separated by commas, or by the semicolons, tabs and bars that some programs write
instead; rows may differ in length. Quotes have to surround a whole field, and be doubled inside
it: elsewhere, readers differ on where fields end.

Fields that begin with `=`, `+`, `-` or `@` are accepted: `-1` is a number, and `@name` a name. A
spreadsheet may take such fields for formulas. Code that writes a CSV file for a spreadsheet has to
escape them.
"""

import codecs
import re
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import (
    MALFORMED,
    TOO_LONG,
    TOO_MANY_ENTRIES,
    TRUNCATED,
)
from roadworthy.uploads.types.texts.text import SLICE_BYTES, Text, looks_like_text

__all__ = ["CSV", "MAX_COLUMNS", "MAX_ROW", "csv_within"]

MAX_COLUMNS: Final = 16_384
"""The most fields of a row: as many as a sheet of Excel has."""
MAX_ROW: Final = 1 * MiB
"""The most bytes of a row, with all lines of its quoted fields."""

_END: Final = re.compile(rb"[\r\n]")
_OTHERS: Final = bytes(set(range(256)) - set(b'",;\t|\r\n'))
_SHAPE: Final = bytes.maketrans(_OTHERS + b",;\t|\r\n", b"x" * len(_OTHERS) + b",,,,\n\n")
"""Tells what is a quote, a divider `,`, the end of a row `\\n`, or anything else `x`."""


_ALIASES: Final = (
    "application/csv",
    "application/x-csv",
    "text/x-csv",
    "text/comma-separated-values",  # Android
    "text/x-comma-separated-values",
    "text/tab-separated-values",  # tabs separate fields here (IANA)
    "application/vnd.ms-excel",  # declared by Windows where Excel opens such files
    "application/vnd.msexcel",
    "application/msexcel",
    "application/x-msexcel",
    "application/excel",
    "text/plain",  # the type of its content
)


@limited
def csv_within(*, max_columns: int = MAX_COLUMNS, max_row: int = MAX_ROW) -> FileType:
    """Make a `CSV` with limits of your own: fields and bytes of a row."""
    return FileType(
        "text/csv",
        ".csv",
        looks_like_text,
        lambda: PushParser(_Csv(max_columns, max_row).read),
        aliases=_ALIASES,
        breadth=1,
    )


class _Csv:
    """A CSV file, of which the bytes outside of quotes are judged.

    In those, a quoted text is one `"`, so a doubled quote is two of them in a row.
    """

    def __init__(self, max_columns: int, max_row: int) -> None:
        self._max_columns, self._max_row = max_columns, max_row
        self._text = Text(max_row)
        self._quoted = False
        self._last = b"\n"
        self._row = 0
        self._dividers = 0

    def read(self, source: PushedBytes) -> Step[None]:
        if (yield from source.peek(3)) == codecs.BOM_UTF8:
            source.use(3)
        most = min(SLICE_BYTES, self._max_row)
        while not (yield from source.at_end()):
            piece = source.here[:most].tobytes()
            source.use(len(piece))
            self._text.take(piece)
            self._take(piece)
        self._text.end()
        if self._quoted:
            raise Rejected(TRUNCATED, "The file ends within a quoted field.")

    def _take(self, piece: bytes) -> None:
        parts = piece.split(b'"')
        first = int(self._quoted)  # of the parts that are outside
        outside = b'"'.join(parts[first::2]).translate(_SHAPE)
        self._quoted ^= len(parts) % 2 == 0
        if self._quoted and len(parts) > 1:
            outside += b'"'
        self._judge_quotes(outside)
        self._count(outside)
        self._measure(parts, first)

    def _judge_quotes(self, outside: bytes) -> None:
        seen = self._last + outside
        if b'x"' in seen or b'"x' in seen:
            raise Rejected(MALFORMED, "A quote is in the middle of a field.")
        self._last = outside[-1:] or self._last

    def _count(self, outside: bytes) -> None:
        rows = outside.translate(None, b'x"').split(b"\n")
        self._dividers += len(rows[0])
        longest = max(self._dividers, *map(len, rows))
        if longest >= self._max_columns:
            raise Rejected(TOO_MANY_ENTRIES, "A row has too many columns.")
        if len(rows) > 1:
            self._dividers = len(rows[-1])

    def _measure(self, parts: list[bytes], first: int) -> None:
        before = _before_end(parts, first)
        self._row += before if before is not None else sum(map(len, parts)) + len(parts) - 1
        if self._row > self._max_row:
            raise Rejected(TOO_LONG, "A row is too long.")
        if before is not None:  # rows between two ends in here are no longer than a slice
            self._row = _after_end(parts, first)


def _before_end(parts: list[bytes], first: int) -> int | None:
    """Return the bytes before the end of the first row, None if no row ends."""
    before = 0
    for number, part in enumerate(parts):
        if number % 2 == first and (end := _END.search(part)):
            return before + end.start()
        before += len(part) + 1
    return None


def _after_end(parts: list[bytes], first: int) -> int:
    """Return the bytes after the end of the last row."""
    after = 0
    for number in reversed(range(len(parts))):
        part = parts[number]
        end = max(part.rfind(b"\n"), part.rfind(b"\r")) if number % 2 == first else -1
        if end >= 0:
            return after + len(part) - end - 1
        after += len(part) + 1
    return after


CSV: Final = csv_within()
"""RFC 4180 in UTF-8, `text/csv`. Formulas in it are data."""
