"""Read the records of a ZIP file (PKWARE's APPNOTE 6.3)."""

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.polyglot import look_at
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, Step
from roadworthy.uploads.types.inspecting.reasons import AMBIGUOUS, ENCRYPTED, MALFORMED, UNSUPPORTED

__all__ = [
    "ARCHIVES",
    "CENTRAL",
    "DEFLATED",
    "DESCRIPTOR",
    "END",
    "END64",
    "LOCAL",
    "LOCATOR64",
    "STORED",
    "WRAP",
    "ZipEntry",
    "descriptors",
    "read_central",
    "read_local",
]

ARCHIVES: Final = (
    "application/zip",
    "application/x-zip-compressed",  # Windows
    "application/x-zip",
    "application/zip-compressed",
    "multipart/x-zip",
)
"""The media types that clients declare for a ZIP, and for files that are one inside."""

LOCAL: Final = b"PK\x03\x04"
"""Begins a local header (4.3.7)."""
CENTRAL: Final = b"PK\x01\x02"
"""Begins a header of the central directory (4.3.12)."""
END: Final = b"PK\x05\x06"
"""Begins the end of the central directory (4.3.16)."""
END64: Final = b"PK\x06\x06"
"""Begins the Zip64 end of the central directory (4.3.14)."""
LOCATOR64: Final = b"PK\x06\x07"
"""Begins the Zip64 locator (4.3.15)."""
DESCRIPTOR: Final = b"PK\x07\x08"
"""Begins a data descriptor, mostly (4.3.9)."""

STORED: Final = 0
"""The method of content that is not compressed."""
DEFLATED: Final = 8
"""The method of deflated content (RFC 1951)."""
_METHODS: Final = frozenset({STORED, DEFLATED, 9, 12, 14, 93, 95, 98})
"""Besides these two: deflate64, bzip2, LZMA, Zstandard, XZ, PPMd."""
_AES: Final = 99

WRAP: Final = 2**32
"""Larger numbers are in the Zip64 field; writers without it keep the low half."""
_ENCRYPTED: Final = 1 << 0 | 1 << 6 | 1 << 13
_STREAMED: Final = 1 << 3
_PATCH: Final = 1 << 5
_UTF8: Final = 1 << 11
_ZIP64: Final = 0x0001
_UNICODE_PATH: Final = 0x7075
_UNIX_LINK_HOSTS: Final = frozenset({3, 19})

_LOCAL_FIELDS: Final = struct.Struct("<HHHHHIIIHH")
_CENTRAL_FIELDS: Final = struct.Struct("<HHHHHHIIIHHHHHII")
# Info-ZIP writes characters that its character set lacks as `?`, or as `#U` and digits.
_REPLACED: Final = re.compile(rb"\?|#[UL]|[\x80-\xff]")


@dataclass(slots=True)
class ZipEntry:
    """The header of one entry."""

    offset: int
    name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    expanded: int
    unicode_name: bytes | None
    """The name from Info-ZIP's extra field, for readers that know it."""
    mode: int = 0
    """The mode of Unix, from the central directory, or 0."""

    @property
    def is_utf8(self) -> bool:
        """Whether the name is marked as UTF-8."""
        return bool(self.flags & _UTF8)

    @property
    def is_streamed(self) -> bool:
        """Whether sizes and CRC follow the content, in a data descriptor."""
        return bool(self.flags & _STREAMED)

    def packed(self, *, wrapped: bool = False) -> bytes:
        """Return the values that both headers of an entry share, as bytes."""
        wrap = WRAP if wrapped else 2**64
        return self.name + _AGREED.pack(
            self.flags & _UTF8,
            self.method,
            self.crc,
            self.offset % wrap,
            self.compressed % wrap,
            self.expanded % wrap,
        )


_AGREED: Final = struct.Struct("<HHIQQQ")


def read_local(source: PushedBytes) -> Step[ZipEntry]:
    """Read a local header, after its signature."""
    offset = source.offset - len(LOCAL)
    fields = _LOCAL_FIELDS.unpack((yield from source.take(_LOCAL_FIELDS.size)))
    _, flags, method, _, _, crc, compressed, expanded, name_length, extra_length = fields
    _judge_method(flags, method)
    name = yield from source.take(name_length)
    extra = _extra(name, (yield from source.take(extra_length)))
    expanded, compressed = _wide(extra, expanded, compressed)
    return ZipEntry(
        offset, name, flags, method, crc, compressed, expanded, _other_name(extra, name)
    )


def read_central(source: PushedBytes) -> Step[ZipEntry]:
    """Read an entry of the central directory, after its signature."""
    fields = _CENTRAL_FIELDS.unpack((yield from source.take(_CENTRAL_FIELDS.size)))
    made_by, _, flags, method, _, _, crc, compressed, expanded, *lengths = fields[:12]
    disk, _, attributes, offset = fields[12:]
    _judge_method(flags, method)  # some readers believe the directory
    name = yield from source.take(lengths[0])
    extra = _extra(name, (yield from source.take(lengths[1])))
    look_at((yield from source.take(lengths[2])))
    if disk not in {0, 0xFFFF}:
        raise Rejected(UNSUPPORTED, "The archive is one part of several.")
    expanded, compressed, offset = _wide(extra, expanded, compressed, offset)
    mode = attributes >> 16 if made_by >> 8 in _UNIX_LINK_HOSTS or attributes >> 28 else 0
    other = _other_name(extra, name)
    return ZipEntry(offset, name, flags, method, crc, compressed, expanded, other, mode)


def descriptors(crc: int, compressed: int, expanded: int) -> list[bytes]:
    """Return all forms of a data descriptor, the longest first.

    The signature is optional, and sizes have 4 or 8 bytes, which is not known beforehand.
    Apple's Archive Utility keeps the low half of sizes above 4 GiB.
    """
    wide = struct.pack("<IQQ", crc, compressed, expanded)
    narrow = struct.pack("<III", crc, compressed % WRAP, expanded % WRAP)
    return [DESCRIPTOR + wide, wide, DESCRIPTOR + narrow, narrow]


def _judge_method(flags: int, method: int) -> None:
    if flags & _ENCRYPTED or method == _AES:
        raise Rejected(ENCRYPTED, "The archive is encrypted.")
    if flags & _PATCH or method not in _METHODS:
        raise Rejected(UNSUPPORTED, "The archive is packed in a way that cannot be judged.")


def _extra(name: bytes, data: bytes) -> dict[int, bytes]:
    # Readers of PDF take the first 1,024 bytes for a preamble; neither has a use for this.
    look_at(name + data)
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):  # up to 3 bytes more are padding of Android's zipalign
        kind, length = struct.unpack_from("<HH", data, at)
        at += 4 + length
        if at > len(data):
            raise Rejected(MALFORMED, "An extra field of the archive is longer than its place.")
        if kind in fields and kind in {_ZIP64, _UNICODE_PATH}:
            raise Rejected(AMBIGUOUS, "An extra field of the archive is there twice.")
        fields[kind] = data[at - length : at]
    return fields


def _wide(extra: dict[int, bytes], *values: int) -> tuple[int, ...]:
    """Replace each value that is all ones by the next of the Zip64 field."""
    field = extra.get(_ZIP64)
    if field is None:
        return values
    found: list[int] = []
    at = 0
    for value in values:
        if value == WRAP - 1:
            if at + 8 > len(field):
                raise Rejected(MALFORMED, "A Zip64 field of the archive is too short.")
            found.append(int.from_bytes(field[at : at + 8], "little"))
            at += 8
        else:
            found.append(value)
    return tuple(found)


def _other_name(extra: dict[int, bytes], name: bytes) -> bytes | None:
    field = extra.get(_UNICODE_PATH, b"")
    # A field for another name is stale, and all readers skip it.
    if not field.startswith(b"\1" + zlib.crc32(name).to_bytes(4, "little")):
        return None
    other = field[5:]
    if other != name and not _REPLACED.search(name):
        raise Rejected(AMBIGUOUS, "An entry of the archive has two names.")
    return other
