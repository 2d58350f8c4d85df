"""PDF (ISO 32000-2): whole, nothing after its end, and nothing in it that acts.

A reader finds objects by their offsets, so that what looks like a comment, a string or the
content of a stream may be an object, too. Therefore names that make a file act are looked for
in all of its bytes, however they are written, and in all object streams, which are unpacked.
Page contents and images are not.
"""

import re
import zlib
from typing import Final

from roadworthy.uploads.stored import KiB, MiB
from roadworthy.uploads.types.expansion import Inflater
from roadworthy.uploads.types.filetype import Data, FileType, Rejected
from roadworthy.uploads.types.foreign import ARCHIVES, Alone
from roadworthy.uploads.types.reasons import (
    ACTIVE_CONTENT,
    ENCRYPTED,
    HIDDEN_FORMAT,
    MALFORMED,
    TOO_LARGE_INSIDE,
    TRAILING_DATA,
    TRUNCATED,
    UNSUPPORTED,
)

__all__ = ["PDF", "pdf_within"]

_HEADER: Final = re.compile(rb"%PDF-[12]\.\d")
_ACTING: Final = frozenset(
    {b"JavaScript", b"Launch", b"SubmitForm", b"ImportData", b"RichMedia", b"RichMediaExecute"}
    | {b"EmbeddedFile", b"EmbeddedFiles", b"GoToE", b"XFA"}
)
"""Actions that run, send or start something, and files within the file."""
_PLAIN: Final = re.compile(rb"/(?:%s)(?![\w#.-])" % b"|".join(sorted(_ACTING, reverse=True)))
_ESCAPED: Final = re.compile(rb"/[\w.-]{0,20}#[0-9A-Fa-f]{2}[\w.#-]{0,60}")
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_ENCRYPT: Final = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
_OBJECTS: Final = re.compile(rb"/ObjStm(?![\w#.-])")
_STREAM: Final = re.compile(rb"(?<!end)stream(?:\r\n|\n|\r)")
_OTHER_FILTERS: Final = re.compile(
    rb"/(?:ASCIIHexDecode|AHx|ASCII85Decode|A85|LZWDecode|LZW|RunLengthDecode|RL|Crypt|Predictor)"
)
_AFTER_END: Final = re.compile(
    rb"(?:\d{1,10}\s+\d{1,5}\s+obj|xref|trailer|startxref|endstream|%|\Z)"
)
_END: Final = re.compile(rb"startxref[\s\0]+\d{1,19}[\s\0]+%%EOF[\s\0]*\Z")
_WEB: Final = re.compile(rb"(?i:<script|<html|<!doctype html|<\?php)")

_OVERLAP: Final = 8 * KiB
"""What is kept of the bytes before: longer than any name, and than the end of a file."""
_FIRST: Final = 1024
_DICTIONARY: Final = 64 * KiB
"""Bytes between the name of an object stream and its content."""
_NAMED: Final = 8 * KiB
"""Bytes before the name of an object stream that may belong to its dictionary."""
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


def pdf_within(*, max_unpacked: int = 64 * MiB) -> FileType:
    """Make a `PDF` whose object streams may unpack to so many bytes together."""
    return FileType(
        "application/pdf",
        ".pdf",
        lambda head: _HEADER.match(head) is not None,
        lambda: Alone(_Pdf(max_unpacked), ARCHIVES),
        aliases=_ALIASES,
    )


class _Pdf:
    def __init__(self, max_unpacked: int) -> None:
        self._tail = b""
        self._offset = 0
        self._ended = False
        self._begun = False
        self._names = _Names()
        self._objects = _ObjectStreams(max_unpacked)

    def feed(self, data: Data) -> None:
        """Take the next bytes."""
        bytes_ = bytes(data)
        whole = self._tail + bytes_
        if not self._begun and len(whole) >= _FIRST:
            self._begin(whole)
        self._names.look(whole, len(self._tail))
        if _ENCRYPT.search(whole):
            raise Rejected(ENCRYPTED, "The document is encrypted.")
        self._look_after_ends(whole)
        self._objects.feed(bytes_)
        self._tail = whole[-_OVERLAP:]
        self._offset += len(data)

    def finish(self) -> None:
        """Take note that there are no more bytes."""
        if not self._begun:
            self._begin(self._tail)
        if not _END.search(self._tail):
            if b"%%EOF" in self._tail.rstrip(_SPACE)[-_OVERLAP:] and self._ended:
                raise Rejected(TRAILING_DATA, "There are bytes after the end of the document.")
            raise Rejected(TRUNCATED, "The document ends too early.")
        self._objects.finish()

    def _begin(self, whole: bytes) -> None:
        self._begun = True
        if _WEB.search(whole, 0, _FIRST):
            raise Rejected(HIDDEN_FORMAT, "The document can be read as a page, too.")

    def _look_after_ends(self, whole: bytes) -> None:
        """See that an end is followed by another revision, or by nothing (7.5.6)."""
        at = whole.find(b"%%EOF", max(0, len(self._tail) - 64))
        while at >= 0:
            self._ended = True
            rest = whole[at + 5 : at + 5 + 256].lstrip(_SPACE)
            if len(rest) >= 32 and not _AFTER_END.match(rest):  # noqa: PLR2004 - longer than any
                raise Rejected(TRAILING_DATA, "There are bytes after the end of the document.")
            at = whole.find(b"%%EOF", at + 5)


class _Names:
    """Look for names that make a document act."""

    def look(self, data: bytes, seen: int) -> None:
        """Search what has not been searched, and where it joins what has.

        Raises:
            Rejected: There is one.
        """
        start = max(0, seen - 128)
        if _PLAIN.search(data, start):
            raise _acting()
        for found in _ESCAPED.finditer(data, start):
            if _name(found[0]) in _ACTING:
                raise _acting()
            if _name(found[0]) in {b"Encrypt", b"ObjStm"}:
                raise Rejected(MALFORMED, "The document hides how it is written.")


class _ObjectStreams:
    """Unpack the streams that hold objects, and look at what is in them."""

    def __init__(self, max_unpacked: int) -> None:
        self._max, self._unpacked = max_unpacked, 0
        self._buffer: bytes = b""
        self._waiting = False
        self._inflater: Inflater | None = None
        self._names, self._text = _Names(), b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the document."""
        while data:
            if self._inflater is not None:
                data = self._inflate(self._inflater, data)
            else:
                data = self._find(data)

    def finish(self) -> None:
        """See that none has been left half-way."""
        if self._inflater is not None or self._waiting:
            raise Rejected(TRUNCATED, "The document ends too early.")

    def _find(self, data: bytes) -> bytes:
        """Look for the next object stream; return what comes after where it begins."""
        buffer = self._buffer + data
        named = _OBJECTS.search(buffer)
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

    def _open(self, dictionary: bytes, rest: bytes) -> bytes:
        if _OTHER_FILTERS.search(dictionary):
            raise Rejected(UNSUPPORTED, "An object stream is packed in a way that is not judged.")
        if b"/Fl" not in dictionary and b"/Filter" not in dictionary:
            return rest  # it is not packed: its names have been looked at
        self._inflater = zlib.decompressobj()
        self._text = b""
        return rest

    def _inflate(self, inflater: Inflater, data: bytes) -> bytes:
        try:
            out = inflater.decompress(data, 256 * KiB)
        except zlib.error as error:
            raise Rejected(MALFORMED, "An object stream cannot be unpacked.") from error
        self._unpacked += len(out)
        if self._unpacked > self._max:
            raise Rejected(TOO_LARGE_INSIDE, "The objects of the document are a bomb.")
        self._names.look(self._text + out, len(self._text))
        self._text = (self._text + out)[-128:]
        if inflater.eof:
            self._inflater = None
            return inflater.unused_data
        return inflater.unconsumed_tail


def _name(written: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), written[1:])


def _acting() -> Rejected:
    return Rejected(ACTIVE_CONTENT, "The document has scripts, files or actions in it.")


PDF: Final = pdf_within()
"""Portable Document Format, without scripts, attachments and encryption."""
