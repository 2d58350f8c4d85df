"""Inflate the pixels of a PNG to count them, never to draw them.

Sections are those of PNG, third edition: §7 and §10.
A decoder stops when the image is full and never sees what is packed after the last row. So that
is refused, like bytes after the end of a file. No pixel is kept.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TOO_LARGE_INSIDE, TRAILING_DATA

__all__ = ["Pixels", "Work", "row_bytes"]

_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""The samples of a pixel, by colour type (§6.1)."""
_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Adam7: the first column and row of each pass, and the steps to the next ones (§8.1)."""
_AT_ONCE: Final = 256 * 1024
_PIECE: Final = 16 * 1024
"""Bytes of a piece: small, because zlib copies the rest of a piece at each step."""
_LARGEST_PIXEL: Final = 8
_FREE: Final = 512 * MiB
_RATIO: Final = 100
"""The most inflated bytes for each byte of the file, over all frames of a large file."""


def row_bytes(width: int, height: int, *, depth: int, colour: int, interlaced: bool) -> int:
    """Return the inflated bytes of an image, with a filter byte for each row."""
    bits = depth * _SAMPLES[colour]
    passes = _passes(width, height) if interlaced else [(width, height)]
    return sum(high * (1 + (wide * bits + 7) // 8) for wide, high in passes if wide)


def _passes(width: int, height: int) -> Iterator[tuple[int, int]]:
    for left, top, across, down in _PASSES:
        yield -(-max(width - left, 0) // across), -(-max(height - top, 0) // down)


class Work:
    """A limit of the bytes that all frames of a file inflate to.

    Args:
        max_pixels: The most pixels of a frame; one frame of that size is always allowed.
    """

    def __init__(self, max_pixels: int) -> None:
        self._free = max(_FREE, max_pixels * _LARGEST_PIXEL * 2)
        self._done = 0

    def add(self, count: int, *, offset: int) -> None:
        """Add inflated bytes, at an offset of the file.

        Raises:
            Rejected: There are too many for so small a file: it is a bomb.
        """
        self._done += count
        if self._done > self._free + _RATIO * offset:
            raise Rejected(TOO_LARGE_INSIDE, "The frames of the image are packed too well.")


class Pixels:
    """Inflate the pixels of one image, and count them.

    Args:
        expected: The inflated bytes, by the headers.
        work: The limit that all frames share.
    """

    def __init__(self, expected: int, work: Work) -> None:
        self._left, self._work = expected, work
        self._inflate = zlib.decompressobj()

    def feed(self, data: Data, *, offset: int) -> None:
        """Inflate the next compressed bytes.

        Raises:
            Rejected: There are more bytes than the image has room for, or broken ones.
        """
        view = memoryview(data)
        for at in range(0, len(view), _PIECE):
            self._piece(view[at : at + _PIECE], offset)

    def _piece(self, data: Data, offset: int) -> None:
        pending: Data = data
        while len(pending):
            if self._inflate.eof:
                raise _too_much()
            pending = self._step(pending, offset)

    def _step(self, data: Data, offset: int) -> bytes:
        try:
            count = len(self._inflate.decompress(data, min(_AT_ONCE, self._left + 1)))
        except zlib.error:
            raise Rejected(MALFORMED, "The pixels of the image cannot be unpacked.") from None
        self._left -= count
        if self._left < 0:
            raise _too_much()
        self._work.add(count, offset=offset)
        return self._inflate.unused_data or self._inflate.unconsumed_tail


def _too_much() -> Rejected:
    return Rejected(TRAILING_DATA, "There is image data beyond the size that the image declares.")
