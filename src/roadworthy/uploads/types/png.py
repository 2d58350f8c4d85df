"""PNG (RFC 2083, ISO 15948): chunks in their order, with their checksums, and nothing after."""

import zlib
from collections.abc import Callable
from typing import Final

from roadworthy.uploads.types.filetype import FileType, Rejected
from roadworthy.uploads.types.hidden import Hidden
from roadworthy.uploads.types.pixels import MAX_FRAMES, MAX_PIXELS, Pixels
from roadworthy.uploads.types.reasons import MALFORMED, TOO_LARGE_INSIDE, UNSUPPORTED
from roadworthy.uploads.types.steps import Pushed, Step, Steps

__all__ = ["PNG", "png_within"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
"""Bits of a sample, for each type of colour."""
_MAX_ASIDE: Final = 16 * 1024 * 1024
"""Bytes of one chunk that is no image data: profiles of colours have some megabytes."""
_MAX_UNPACKED: Final = 16 * 1024 * 1024
"""Bytes that the compressed text or profile of one chunk may unpack to."""
_PACKED: Final = frozenset({b"iCCP", b"zTXt", b"iTXt"})
_KNOWN: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})


def png_within(*, max_pixels: int = MAX_PIXELS, max_frames: int = MAX_FRAMES) -> FileType:
    """Make a `PNG` with limits of your own: pixels of an image, frames of an animation."""

    def inspector() -> Steps:
        return Steps(lambda source: _Png(source, Pixels(max_pixels, max_frames)).read())

    return FileType("image/png", ".png", lambda head: head.startswith(_SIGNATURE), inspector)


class _Png:
    def __init__(self, source: Pushed, pixels: Pixels) -> None:
        self._source, self._pixels = source, pixels
        self._hidden = Hidden()
        self._seen = set[bytes]()
        self._last = b""

    def read(self) -> Step[None]:
        self._hidden.feed((yield from self._source.take(len(_SIGNATURE))))
        while self._last != b"IEND":
            yield from self._chunk()
        if b"IDAT" not in self._seen:
            raise _malformed("It has no image data.")

    def _chunk(self) -> Step[None]:
        head = yield from self._source.take(8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        self._check_order(length, kind)
        self._hidden.feed(head)
        crc = yield from self._content(length, kind)
        told = yield from self._source.take(4)
        self._hidden.feed(told)
        if crc != int.from_bytes(told):
            raise _malformed("A checksum is wrong.")
        self._seen.add(kind)
        self._last = kind

    def _check_order(self, length: int, kind: bytes) -> None:
        if not kind.isalpha() or length > 2**31 - 1:
            raise _malformed("A chunk has no name.")
        if (kind == b"IHDR") != (not self._last):
            raise _malformed("It does not begin with its header.")
        if kind[:1].isupper() and kind not in _KNOWN:
            raise Rejected(UNSUPPORTED, "It has a chunk that not all readers know.")
        if kind == b"IDAT" and kind in self._seen and self._last != kind:
            raise _malformed("Its image data is in pieces.")
        if kind not in {b"IDAT", b"fdAT"} and length > _MAX_ASIDE:
            raise Rejected(TOO_LARGE_INSIDE, "A chunk beside the image is too large.")
        if kind == b"IEND" and length:
            raise _malformed("Its end holds something.")

    def _content(self, length: int, kind: bytes) -> Step[int]:
        """Pass over the content of a chunk, judge it, and return its checksum."""
        crc, left = zlib.crc32(kind), length
        take = self._reader(length, kind)
        while left:
            yield from self._source.more()
            piece = self._source.here[:left]
            crc = zlib.crc32(piece, crc)
            self._hidden.feed(piece)
            take(piece)
            left -= len(piece)
            self._source.use(len(piece))
        return crc

    def _reader(self, length: int, kind: bytes) -> Callable[[memoryview], object]:
        if kind == b"IHDR":
            return _Whole(length, 13, self._header)
        if kind == b"fcTL":
            return _Whole(length, 26, self._frame)
        return _Unpacked() if kind in _PACKED else _nothing

    def _header(self, content: bytes) -> None:
        width, height = int.from_bytes(content[:4]), int.from_bytes(content[4:8])
        depth, colour, packing, filtering, interlace = content[8:]
        if depth not in _DEPTHS.get(colour, ()) or packing or filtering or interlace > 1:
            raise _malformed("Its header makes no sense.")
        self._pixels.canvas(width, height)

    def _frame(self, content: bytes) -> None:
        width, height = int.from_bytes(content[4:8]), int.from_bytes(content[8:12])
        self._pixels.frame(width, height)


class _Whole:
    """Gather a chunk whose length is fixed."""

    def __init__(self, length: int, wanted: int, use: Callable[[bytes], object]) -> None:
        if length != wanted:
            raise _malformed("A chunk has a wrong length.")
        self._wanted, self._use, self._content = wanted, use, b""

    def __call__(self, piece: memoryview) -> None:
        self._content += piece
        if len(self._content) == self._wanted:
            self._use(self._content)


class _Unpacked:
    """Unpack a text or profile as far as is needed to know that it is no bomb."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj()
        self._gathered = bytearray()
        self._size = 0
        self._hidden = Hidden()
        self._active = True

    def __call__(self, piece: memoryview) -> None:
        if not self._active:
            return
        self._gathered += piece
        start = self._start() if not self._size else 0
        if start is None:
            return
        data, self._gathered = bytes(self._gathered[start:]), bytearray()
        try:
            while data and not self._inflater.eof:
                out = self._inflater.decompress(data, 256 * 1024)
                self._take(out)
                data = self._inflater.unconsumed_tail
        except zlib.error:
            self._active = False  # plain text, or broken: decoders pass it over

    def _start(self) -> int | None:
        # Compressed data begins with a byte that says so: 0x78 after a zero and a method.
        found = self._gathered.find(b"\x00\x78", 0, 512)
        if found < 0:
            self._active = len(self._gathered) < 512  # noqa: PLR2004 - keywords are shorter
            return None
        return found + 1

    def _take(self, out: bytes) -> None:
        self._size += len(out) or 1
        if self._size > _MAX_UNPACKED:
            raise Rejected(TOO_LARGE_INSIDE, "A text or profile in it is a bomb.")
        self._hidden.feed(out)


def _nothing(piece: memoryview) -> None:
    """Judge no content."""


def _malformed(message: str) -> Rejected:
    return Rejected(MALFORMED, f"The image is broken. {message}")


PNG: Final = png_within()
"""Portable Network Graphics, animated or not."""
