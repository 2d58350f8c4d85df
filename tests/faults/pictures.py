"""Pictures to upload: each has bytes of its own, and none of them compresses."""

import random
import struct
import zlib
from functools import cache
from typing import Final

__all__ = ["LARGE", "SMALL", "picture"]

SMALL, LARGE = 60, 600
"""Pixels a side: 11 KB, and 1.1 MB."""
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def picture(side: int, note: str) -> bytes:
    """Return a PNG that holds a note, by which it differs from all others."""
    head, rest = _noise(side)
    return head + _chunk(b"tEXt", b"Comment\0" + note.encode("latin-1")) + rest


@cache
def _noise(side: int) -> tuple[bytes, bytes]:
    rows = b"".join(b"\0" + random.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(rows, 1))
    return _SIGNATURE + _chunk(b"IHDR", header), data + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
