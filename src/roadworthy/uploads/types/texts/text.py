"""Plain text: UTF-8 without control characters, with any content.

Markup, formulas and marks that turn the direction of writing are content, and accepted. Tab, line
feed, form feed, carriage return and U+0085 are the only control characters; UTF-16 is refused. A
file that begins like another type, or like code that browsers or shells run, is no plain text.
"""

import codecs
import re
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import KiB, MiB
from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import (
    CONTROL_CHARACTERS,
    NOT_UTF8,
    TOO_LONG,
    TRUNCATED,
)
from roadworthy.uploads.types.texts.other_formats import HiddenPdf, claims_another_type

__all__ = ["MAX_LINE", "SLICE_BYTES", "TEXT", "Text", "Utf8", "looks_like_text", "text_within"]

MAX_LINE: Final = 1 * MiB
"""The most bytes of a line: programs that read line by line hold one in memory."""
SLICE_BYTES: Final = 64 * KiB
"""Bytes judged at a time: copies of them fit into the processor's cache."""

_CONTROLS: Final = bytes(set(range(0x20)) - set(b"\t\n\f\r")) + b"\x7f"
_C1: Final = re.compile(rb"\xc2[\x80-\x84\x86-\x9f]")
_ALIASES: Final = (
    "text/*",  # Markdown, logs, calendars, source code
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/x-subrip",
    "application/x-tex",
)


@limited
def text_within(*, max_line: int = MAX_LINE) -> FileType:
    """Make a `TEXT` with a limit of your own: bytes of a line."""
    return FileType(
        "text/plain",
        ".txt",
        looks_like_text,
        lambda: PushParser(Text(max_line).read),
        aliases=_ALIASES,
        breadth=2,
    )


def looks_like_text(head: bytes) -> bool:
    """Return whether a file may be text, by its first bytes.

    A file with control characters or in another encoding counts as text here, so that the client
    is told what is wrong with it.
    """
    return not claims_another_type(head)


class Text:
    """Judge a text: run by `PushParser`, or called with `take` and `end`."""

    def __init__(self, max_line: int) -> None:
        self._utf8 = Utf8()
        self._hidden = HiddenPdf()
        self._max_line = max_line
        self._line = 0

    def read(self, source: PushedBytes) -> Step[None]:
        """Read the text to its end."""
        most = min(SLICE_BYTES, self._max_line)
        while not (yield from source.at_end()):
            piece = source.here[:most].tobytes()
            source.use(len(piece))
            self.take(piece)
        self.end()

    def take(self, piece: bytes) -> None:
        """Judge the next bytes, at most as many as a line may have."""
        whole = self._utf8.take(piece)
        if _has_controls(whole) or (not whole.isascii() and _C1.search(whole)):
            raise Rejected(CONTROL_CHARACTERS, "The text has control characters.")
        self._hidden.feed(piece)
        self._measure(piece)

    def end(self) -> None:
        """End the file, and judge it as a whole."""
        self._utf8.end()

    def _measure(self, piece: bytes) -> None:
        last = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        if last < 0:
            self._line += len(piece)
        else:  # lines between two ends in here are no longer than the piece
            self._line += min(at for at in (piece.find(b"\n"), piece.find(b"\r")) if at >= 0)
            self._check_line()
            self._line = len(piece) - last - 1
        self._check_line()

    def _check_line(self) -> None:
        if self._line > self._max_line:
            raise Rejected(TOO_LONG, "A line of the text is too long.")


class Utf8:
    """Check that bytes are UTF-8 (RFC 3629), cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, piece: bytes) -> bytes:
        """Return the whole characters of the next bytes, with one that was cut before."""
        data = self._rest + piece if self._rest else piece
        try:
            _, used = codecs.utf_8_decode(data, "strict", False)  # not the end
        except UnicodeDecodeError as error:
            raise Rejected(NOT_UTF8, "The text is not UTF-8: save it with that.") from error
        self._rest = data[used:]
        return data[:used]

    def end(self) -> None:
        """End the file, and judge it as a whole."""
        if self._rest:
            raise Rejected(TRUNCATED, "The text ends within a character.")


def _has_controls(data: bytes) -> bool:
    return len(data.translate(None, _CONTROLS)) < len(data)


TEXT: Final = text_within()
"""`text/plain` in UTF-8, with lines of up to 1 MiB. Narrower types go before it."""
