"""PNG and APNG, read chunk by chunk (PNG, third edition, §5).

The pixels are inflated to check that there are no more than the header says. Texts and colour
profiles are inflated too, because nothing in the file bounds their size.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.images import formats
from roadworthy.uploads.types.images.pixel_budget import (
    MAX_FRAMES,
    MAX_PIXELS,
    MAX_SIDE,
    PixelBudget,
)
from roadworthy.uploads.types.images.png_pixels import Pixels, Work, row_bytes
from roadworthy.uploads.types.inspecting.filetype import Data, FileType, Rejected
from roadworthy.uploads.types.inspecting.part_budget import PartBudget
from roadworthy.uploads.types.inspecting.polyglot import (
    ANYWHERE,
    IN_METADATA,
    PolyglotScan,
    SingleFormat,
)
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TOO_LARGE_INSIDE, UNSUPPORTED

__all__ = ["PNG", "png"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits that a sample may have, by colour type."""
_INDEXED: Final = 3
_HEADER_BYTES: Final = 13
_LONGEST_CHUNK: Final = 2**31 - 1
_LARGEST_PALETTE: Final = 256 * 3
_ANCILLARY: Final = 0x20
_FRAME_BYTES: Final = 26
_SEQUENCE_BYTES: Final = 4
_COMPRESSED: Final = {b"zTXt", b"iCCP", b"iTXt"}
_MAX_INFLATED: Final = 8 * MiB
"""The most bytes of all texts and profiles together: libpng's limit for one."""
_MAX_KEYWORD: Final = 79
_MAX_NAMES: Final = 4096
"""The most bytes of a text's language and its translated keyword together."""


@limited
def png(
    *, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE, max_frames: int = MAX_FRAMES
) -> FileType:
    """Make a `PNG` with limits of your own: pixels of a frame, of a side, and frames."""

    def inspector() -> SingleFormat:
        budget = PixelBudget(max_pixels=max_pixels, max_side=max_side, max_frames=max_frames)
        work = Work(max_pixels)
        return SingleFormat(PushParser(lambda source: _Png(source, budget, work).read()))

    return FileType(
        formats.PNG.media_type,
        formats.PNG.extension,
        lambda head: head.startswith(_SIGNATURE),
        inspector,
        aliases=formats.PNG.aliases,
    )


@dataclass(slots=True)
class _Chunk:
    name: bytes
    left: int
    crc: int


class _Png:
    def __init__(self, source: PushedBytes, budget: PixelBudget, work: Work) -> None:
        self._source, self._budget, self._work = source, budget, work
        self._parts = PartBudget(mean_bytes=1024)
        self._metadata = PolyglotScan(IN_METADATA)
        self._inflated = 0
        self._needs_palette = False
        self._depth = self._colour = self._interlace = 0
        self._image = self._frames = Pixels(0, work)
        self._seen: set[bytes] = set()
        self._last = b""

    def read(self) -> Step[None]:
        yield from self._source.take(len(_SIGNATURE))
        yield from self._header()
        while self._last != b"IEND":
            chunk = yield from self._begin()
            self._check_order(chunk)
            yield from self._content(chunk)
            yield from self._end(chunk)

    def _header(self) -> Step[None]:
        chunk = yield from self._begin()
        if chunk.name == b"CgBI":
            raise Rejected(UNSUPPORTED, "The image can be read on Apple's systems only.")
        if chunk.name != b"IHDR" or chunk.left != _HEADER_BYTES:
            raise _malformed()
        data = yield from self._take(chunk, _HEADER_BYTES)
        width, height = int.from_bytes(data[:4]), int.from_bytes(data[4:8])
        self._budget.image(width, height)
        depth, colour, compression, filters, interlace = data[8:]
        if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
            raise _malformed()
        self._needs_palette = colour == _INDEXED
        self._depth, self._colour, self._interlace = depth, colour, interlace
        self._image = self._pixels(width, height)
        yield from self._end(chunk)

    def _begin(self) -> Step[_Chunk]:
        head = yield from self._source.take(8)
        name, length = head[4:], int.from_bytes(head[:4])
        if length > _LONGEST_CHUNK or not (name.isalpha() and name.isascii()):
            raise _malformed()
        self._parts.one_more(self._source.offset + length)
        return _Chunk(name, length, zlib.crc32(name))

    def _check_order(self, chunk: _Chunk) -> None:
        """Refuse a chunk in the wrong place: decoders would treat it differently."""
        name, seen = chunk.name, self._seen
        wrong = (
            (name in {b"IHDR", b"PLTE", b"acTL"} and name in seen)
            or (name in {b"PLTE", b"acTL"} and b"IDAT" in seen)
            or (name == b"IDAT" and name in seen and self._last != name)
            or (name == b"IDAT" and self._needs_palette and b"PLTE" not in seen)
            or (name == b"fdAT" and b"IDAT" not in seen)
            or (name == b"IEND" and (b"IDAT" not in seen or chunk.left))
            or (name == b"PLTE" and (chunk.left % 3 or not 0 < chunk.left <= _LARGEST_PALETTE))
            or (not name[0] & _ANCILLARY and name not in {b"PLTE", b"IDAT", b"IEND"})
        )
        if wrong:
            raise _malformed()
        seen.update({name} & {b"PLTE", b"acTL", b"IDAT"})

    def _content(self, chunk: _Chunk) -> Step[None]:
        if chunk.name == b"fcTL":
            yield from self._frame(chunk)
        elif chunk.name == b"fdAT":
            yield from self._take(chunk, _SEQUENCE_BYTES)
            yield from self._pass(chunk, self._counted(self._frames))
        elif chunk.name in _COMPRESSED:
            yield from self._text(chunk)
        elif chunk.name == b"IDAT":
            yield from self._pass(chunk, self._counted(self._image))
        else:
            yield from self._pass(chunk, self._metadata.look)

    def _end(self, chunk: _Chunk) -> Step[None]:
        if int.from_bytes((yield from self._source.take(4))) != chunk.crc:
            raise Rejected(MALFORMED, "A checksum of the image is wrong.")
        self._last = chunk.name

    def _frame(self, chunk: _Chunk) -> Step[None]:
        if chunk.left != _FRAME_BYTES:
            raise _malformed()
        data = yield from self._take(chunk, _FRAME_BYTES)
        width, height = int.from_bytes(data[4:8]), int.from_bytes(data[8:12])
        self._budget.frame(width, height)
        # The first frame may be the image itself, and then has no frame data of its own.
        if b"IDAT" in self._seen:
            self._frames = self._pixels(width, height)

    def _pixels(self, width: int, height: int) -> Pixels:
        depth, colour, interlaced = self._depth, self._colour, bool(self._interlace)
        size = row_bytes(width, height, depth=depth, colour=colour, interlaced=interlaced)
        return Pixels(size, self._work)

    def _counted(self, pixels: Pixels) -> Callable[[Data], None]:
        return lambda data: pixels.feed(data, offset=self._source.offset)

    def _text(self, chunk: _Chunk) -> Step[None]:
        """Inflate the text behind a keyword, and search it."""
        head = yield from self._take(chunk, min(chunk.left, _MAX_KEYWORD + 3))
        self._metadata.look(head)
        plain = yield from self._before_text(chunk, head)
        if plain is None:
            yield from self._pass(chunk, self._metadata.look)
            return
        text = _Text(_MAX_INFLATED - self._inflated)
        text.feed(plain)

        def look(data: Data) -> None:
            self._metadata.look(data)
            text.feed(data)

        yield from self._pass(chunk, look)
        self._inflated += text.size

    def _before_text(self, chunk: _Chunk, head: bytes) -> Step[bytes | None]:
        """Return the offset of the compressed bytes, None where there are none."""
        _, found, rest = head.partition(b"\0")
        if not found:
            return _no_text(chunk)
        if chunk.name != b"iTXt":
            return rest[1:]
        if rest[:1] != b"\1":
            return None
        # Language and translated keyword are text; a stream of zlib begins after both.
        while rest.count(b"\0", 2) < 2 and chunk.left and len(rest) < _MAX_NAMES:  # noqa: PLR2004
            more = yield from self._take(chunk, min(chunk.left, 256))
            self._metadata.look(more)
            rest += more
        names = rest[2:].split(b"\0", 2)
        return names[2] if names[2:] else _no_text(chunk)

    def _take(self, chunk: _Chunk, count: int) -> Step[bytes]:
        if count > chunk.left:
            raise _malformed()
        data = yield from self._source.take(count)
        chunk.left -= count
        chunk.crc = zlib.crc32(data, chunk.crc)
        return data

    def _pass(self, chunk: _Chunk, look: Callable[[Data], None]) -> Step[None]:
        while chunk.left:
            yield from self._source.more()
            seen = self._source.here[: chunk.left]
            chunk.crc = zlib.crc32(seen, chunk.crc)
            look(seen)
            chunk.left -= len(seen)
            self._source.use(len(seen))


def _no_text(chunk: _Chunk) -> bytes:
    """Refuse a text whose beginning was not found: other readers may find one."""
    if chunk.left:
        raise _malformed()
    return b""


class _Text:
    """Inflate a text up to a limit, and ignore bytes that are no zlib stream."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._inflate = zlib.decompressobj()
        self._foreign = PolyglotScan((*ANYWHERE, *IN_METADATA))
        self._broken = False

    def feed(self, data: Data) -> None:
        pending: Data = data
        while pending and not self._broken and not self._inflate.eof:
            pending = self._step(pending)

    def _step(self, data: Data) -> bytes:
        try:
            text = self._inflate.decompress(data, 64 * 1024)
        except zlib.error:
            self._broken = True
            return b""
        self.size += len(text)
        if self.size > self._limit:
            raise Rejected(TOO_LARGE_INSIDE, "The texts of the image are too large.")
        self._foreign.look(text)
        return self._inflate.unconsumed_tail


def _malformed() -> Rejected:
    return Rejected(MALFORMED, "The image is no valid PNG.")


PNG: Final = png()
"""PNG and APNG, `image/png`, of at most `MAX_PIXELS`."""
