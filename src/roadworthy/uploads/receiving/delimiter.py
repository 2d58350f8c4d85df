"""`FirstDelimiter`: find where the first part of a multipart body begins.

Text before the first delimiter is meant for readers of mail, and skipped (RFC 2046 §5.1.1).
Spaces after a boundary are padding that some gateways add.
"""

import re
from typing import Final

from roadworthy.problems import MalformedBody

__all__ = ["FirstDelimiter"]

MAX_PREAMBLE: Final = 8192
"""The most bytes before the end of the first delimiter."""


class FirstDelimiter:
    """Drop what precedes the first delimiter of a body, and the padding after it."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"--" + boundary
        self._line = re.compile(rb"(?:\A|\n)" + re.escape(self._delimiter) + rb"(--|[ \t]*\r\n)")
        self._waiting: bytes | None = b""

    def take(self, piece: bytes) -> bytes:
        """Return the bytes of a piece that belong to the parser.

        Raises:
            MalformedBody: 400. No delimiter is where one has to be.
        """
        if self._waiting is None:
            return piece
        waiting = self._waiting + piece
        found = self._line.search(waiting, 0, MAX_PREAMBLE)
        if found is None:
            if len(waiting) >= MAX_PREAMBLE:
                raise MalformedBody(reason="The body does not begin with its boundary.")
            self._waiting = waiting
            return b""
        self._waiting = None
        ending = b"--" if found[1] == b"--" else b"\r\n"
        return self._delimiter + ending + waiting[found.end() :]
