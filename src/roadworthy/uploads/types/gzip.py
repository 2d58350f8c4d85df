"""gzip (RFC 1952): every member is unpacked, counted and checked.

Unpacked bytes are not kept. If they are a tar archive, as in `.tar.gz`, its headers are checked:
no name in them may lead out of the folder that the archive is unpacked in. The header of a member
has room for another file, because readers skip it: so headers are searched for other formats.
"""

import struct
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.types.inspecting.decompression import (
    MAX_EXPANDED,
    MAX_RATIO,
    Expansion,
    Inflating,
)
from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected
from roadworthy.uploads.types.inspecting.polyglot import (
    ANYWHERE,
    IN_METADATA,
    PolyglotScan,
    SingleFormat,
)
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TOO_LARGE_INSIDE, TRAILING_DATA
from roadworthy.uploads.types.tar import MAX_ENTRIES, TarScan

__all__ = ["GZIP", "gzip_within"]

_MAGIC: Final = b"\x1f\x8b\x08"
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
_MAX_TEXT: Final = 4096
"""Bytes of the name or comment in a header."""
_TRAILER: Final = struct.Struct("<II")


_ALIASES: Final = (
    "application/x-gzip",
    "application/x-gzip-compressed",
    "application/gzip-compressed",
    "application/gzipped",
    "application/x-gunzip",
    "application/x-tgz",
    "application/x-gtar",
    "application/x-compressed-tar",
    "application/x-compressed",
)


@limited
def gzip_within(
    *,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
    max_entries: int = MAX_ENTRIES,
) -> FileType:
    """Make a `GZIP` with limits of your own.

    Args:
        max_expanded: The most unpacked bytes.
        max_ratio: The most unpacked bytes for each byte of the file, above 64 MiB.
        max_entries: The most entries of a tar archive inside.
    """

    def inspector() -> SingleFormat:
        expansion = Expansion(max_expanded, max_ratio)
        steps = PushParser(lambda source: _Gzip(source, expansion, TarScan(max_entries)).read())
        return SingleFormat(steps, ())  # compressed bytes may contain anything by chance

    return FileType(
        "application/gzip",
        ".gz",
        lambda head: head.startswith(_MAGIC),
        inspector,
        aliases=_ALIASES,
    )


class _Gzip:
    def __init__(self, source: PushedBytes, expansion: Expansion, inside: TarScan) -> None:
        self._source, self._expansion, self._inside = source, expansion, inside
        self._hidden = PolyglotScan((*ANYWHERE, *IN_METADATA))

    def read(self) -> Step[None]:
        yield from self._member()
        while not (yield from self._source.at_end()):
            if self._source.here[0] == 0:
                yield from self._padding()
                break
            yield from self._member()
        self._inside.finish()

    def _member(self) -> Step[None]:
        yield from self._header()
        inflating = Inflating(self._expansion, self._inside.feed)
        yield from inflating.read(self._source)
        crc, size = _TRAILER.unpack((yield from self._source.take(_TRAILER.size)))
        if crc != inflating.crc or size != inflating.size % 2**32:
            raise Rejected(MALFORMED, "A checksum of the file is wrong.")

    def _header(self) -> Step[None]:
        head = yield from self._source.take(10)
        if not head.startswith(_MAGIC):
            raise Rejected(TRAILING_DATA, "There are bytes after the end of the file.")
        flags = head[3]
        if flags & _RESERVED:
            raise Rejected(MALFORMED, "The file is no valid gzip.")
        if flags & _FEXTRA:
            length = int.from_bytes((yield from self._source.take(2)), "little")
            self._hidden.look((yield from self._source.take(length)))
        for flag in (_FNAME, _FCOMMENT):
            if flags & flag:
                yield from self._text()
        if flags & _FHCRC:
            yield from self._source.take(2)

    def _text(self) -> Step[None]:
        text = b""
        for _ in range(_MAX_TEXT):
            if (letter := (yield from self._source.take(1))) == b"\0":
                return self._hidden.look(text)
            text += letter
        raise Rejected(TOO_LARGE_INSIDE, "The header of the file is too long.")

    def _padding(self) -> Step[None]:
        # tar pads its last block with zeros, and the manual of gzip allows that.
        while not (yield from self._source.at_end()):
            piece = bytes(self._source.here)
            if piece.strip(b"\0"):
                raise Rejected(TRAILING_DATA, "There are bytes after the end of the file.")
            self._source.use(len(piece))


GZIP: Final = gzip_within()
"""gzip of any content; a tar archive inside is judged, too."""
