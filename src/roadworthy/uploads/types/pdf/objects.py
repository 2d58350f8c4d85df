"""Decompress the object streams of a PDF (ISO 32000-2, 7.5.7)."""

import re
import zlib
from collections.abc import Iterator
from typing import Final

from roadworthy.uploads.stored import KiB, MiB
from roadworthy.uploads.types.inspecting.decompression import Inflater
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    MALFORMED,
    TOO_LARGE_INSIDE,
    TRUNCATED,
    UNSUPPORTED,
)
from roadworthy.uploads.types.pdf.names import PdfNames

__all__ = ["ObjectStreams"]

_OBJECTS: Final = re.compile(rb"/ObjStm(?![\w#.-])")
_TYPE: Final = frozenset({b"Type"})
_STREAM: Final = re.compile(rb"(?<!end)stream(?:\r\n|\n|\r)")
_OTHER_FILTERS: Final = re.compile(
    rb"/(?:ASCIIHexDecode|AHx|ASCII85Decode|A85|LZWDecode|LZW|RunLengthDecode|RL|Crypt|Predictor)"
)
_FIRST: Final = re.compile(rb"/First[\0\t\n\f\r ]*(\d{1,9}+)(?![\0\s]+\d+[\0\s]+R|\w)")
_END: Final = b"endstream"
_DICTIONARY: Final = 64 * KiB
"""The most bytes between the name of an object stream and its content."""
_NAMED: Final = 8 * KiB
"""Bytes before the name of an object stream that may belong to its dictionary."""
_OUT: Final = 256 * KiB
_MAX_HELD: Final = 8 * MiB
"""The most bytes of an object stream: writers put some hundred objects into each."""
_COMMENT: Final = re.compile(rb"%[^\r\n]*")
_DIGITS: Final = 10
"""The digits of the largest number of 32 bits."""


class ObjectStreams:
    """Find and decompress object streams, wherever the document is cut."""

    def __init__(self, max_unpacked: int, names: PdfNames) -> None:
        self._max, self._unpacked = max_unpacked, 0
        self._names = names
        self._buffer: bytes = b""
        self._waiting = False
        self._inflater: Inflater | None = None
        self._is_plain = False
        self._first = 0
        self._text = bytearray()

    def feed(self, data: bytes) -> None:
        """Search the next bytes of the document.

        Raises:
            Rejected: An object acts, or cannot be judged.
        """
        while data:
            if self._inflater is not None:
                data = self._inflate(self._inflater, data)
            elif self._is_plain:
                data = self._copy(data)
            else:
                data = self._find(data)

    def finish(self) -> None:
        """Check that no stream is unfinished."""
        if self._inflater is not None or self._waiting or self._is_plain:
            raise Rejected(TRUNCATED, "The document ends too early.")

    def _find(self, data: bytes) -> bytes:
        """Find the next object stream, and return the bytes behind its beginning."""
        buffer = self._buffer + data
        named = self._named(buffer)
        if named is None:
            self._buffer = buffer[-_NAMED:]
            return b""
        begins = _STREAM.search(buffer, named.end())
        if begins is None or begins.end() + 2 > len(buffer):
            if len(buffer) - named.end() > _DICTIONARY:
                raise Rejected(MALFORMED, "An object stream has no content.")
            self._waiting, self._buffer = True, buffer[max(0, named.start() - 4 * KiB) :]
            return b""
        self._waiting, self._buffer = False, b""
        opened = buffer.rfind(b"obj", max(0, named.start() - 4 * KiB), named.start())
        dictionary = buffer[max(0, opened) : begins.start()]
        return self._open(dictionary, buffer[begins.end() :])

    def _named(self, buffer: bytes) -> re.Match[bytes] | None:
        """Find the next name of the stream type: a title may contain its letters."""
        for found in _OBJECTS.finditer(buffer):
            if self._names.is_value_of(buffer, found.start(), _TYPE):
                return found
        return None

    def _open(self, dictionary: bytes, rest: bytes) -> bytes:
        if _OTHER_FILTERS.search(dictionary):
            raise Rejected(UNSUPPORTED, "An object stream is packed in a way that is not judged.")
        firsts = {int(found) for found in _FIRST.findall(dictionary)}
        if len(firsts) != 1:
            raise Rejected(MALFORMED, "An object stream does not say where its objects begin.")
        self._first = firsts.pop()
        self._text.clear()
        if b"/Fl" in dictionary or b"/Filter" in dictionary:
            self._inflater = zlib.decompressobj()
        else:
            self._is_plain = True
        return rest

    def _inflate(self, inflater: Inflater, data: bytes) -> bytes:
        try:
            out = inflater.decompress(data, _OUT)
        except zlib.error as error:
            raise Rejected(MALFORMED, "An object stream cannot be unpacked.") from error
        self._unpacked += len(out)
        self._hold(out)
        if inflater.eof:
            self._inflater = None
            self._judge(bytes(self._text))
            return inflater.unused_data
        return inflater.unconsumed_tail

    def _copy(self, data: bytes) -> bytes:
        """Read a stream without compression, up to its end."""
        before = len(self._text)
        self._hold(data)
        at = self._text.find(_END, max(0, before - len(_END)))
        if at < 0:
            return b""
        rest = bytes(self._text[at:])
        self._is_plain = False
        self._judge(bytes(self._text[:at]))
        return rest

    def _hold(self, out: bytes) -> None:
        self._text += out
        if self._unpacked > self._max or len(self._text) > _MAX_HELD:
            raise Rejected(TOO_LARGE_INSIDE, "The objects of the document are a bomb.")

    def _judge(self, text: bytes) -> None:
        self._names.judge(text, 0, len(text))
        for number, at in self._objects(text):
            self._names.judge_object(text, at, number)
        self._text.clear()

    def _objects(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield the number and offset of each object."""
        numbers = _COMMENT.sub(b"", text[: self._first]).split()  # qpdf explains there what follows
        if not all(number.isdigit() and len(number) <= _DIGITS for number in numbers):
            raise Rejected(MALFORMED, "An object stream does not say where its objects begin.")
        for number, at in zip(numbers[::2], numbers[1::2], strict=False):
            yield int(number), self._first + int(at)
