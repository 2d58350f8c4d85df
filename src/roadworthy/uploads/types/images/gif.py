"""GIF87a and GIF89a, read block by block to the trailer; nothing follows it.

Pixels are not unpacked. A frame may have as many bytes as the most wasteful encoder would need
for its pixels, and no more. Comments and application data are searched twice: as they are in the
file, and with their pieces joined.
"""

from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.types.images import formats
from roadworthy.uploads.types.images.pixel_budget import (
    MAX_FRAMES,
    MAX_PIXELS,
    MAX_SIDE,
    PixelBudget,
)
from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected
from roadworthy.uploads.types.inspecting.part_budget import PartBudget
from roadworthy.uploads.types.inspecting.polyglot import (
    ANYWHERE,
    IN_METADATA,
    PolyglotScan,
    SingleFormat,
)
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TRAILING_DATA

__all__ = ["GIF", "gif"]

_SIGNATURES: Final = (b"GIF87a", b"GIF89a")
_SCREEN_BYTES: Final = 7
_IMAGE_BYTES: Final = 9
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_FIXED: Final = {0xF9: 4, 0xFF: 11, 0x01: 12}
"""Bytes of the first piece of graphic controls, applications and plain text (§23-26)."""
_HAS_TABLE: Final = 0x80
_TABLE_SIZE: Final = 0x07
_CODE_SIZES: Final = range(2, 9)
"""Bits that LZW begins with: two for one-bit images, too (Appendix F)."""
_PIXEL_BYTES: Final = 3
"""A code of 12 bits for each pixel, and one before it that clears the table."""
_END_BYTES: Final = 4
"""Both once more, for the code at the end and the padding of the last byte."""
_MEAN_PIECE: Final = 32
"""Bytes of a piece on average: encoders should fill all but the last one, with 255."""


@limited
def gif(
    *, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE, max_frames: int = MAX_FRAMES
) -> FileType:
    """Make a `GIF` with limits of your own: pixels of a frame, of a side, and frames."""

    def inspector() -> SingleFormat:
        budget = PixelBudget(max_pixels=max_pixels, max_side=max_side, max_frames=max_frames)
        return SingleFormat(PushParser(lambda source: _Gif(source, budget).read()))

    return FileType(
        formats.GIF.media_type,
        formats.GIF.extension,
        lambda head: head.startswith(_SIGNATURES),
        inspector,
        aliases=formats.GIF.aliases,
    )


class _Gif:
    def __init__(self, source: PushedBytes, budget: PixelBudget) -> None:
        self._source, self._budget = source, budget
        self._parts = PartBudget(mean_bytes=_MEAN_PIECE)
        self._written, self._joined = (
            PolyglotScan(IN_METADATA),
            PolyglotScan((*ANYWHERE, *IN_METADATA)),
        )
        self._width = self._height = 0

    def read(self) -> Step[None]:
        if (yield from self._source.take(6)) not in _SIGNATURES:
            raise _malformed("It does not begin as one.")
        yield from self._screen()
        has_image = False
        while (introducer := (yield from self._byte())) != _TRAILER:
            if introducer == _IMAGE:
                has_image = True
                yield from self._image()
            elif introducer == _EXTENSION:
                yield from self._extension()
            else:
                raise _malformed("There is something between its blocks.")
        if not has_image:
            raise _malformed("It has no image.")

    def _screen(self) -> Step[None]:
        screen = yield from self._source.take(_SCREEN_BYTES)
        self._width, self._height = _number(screen, 0), _number(screen, 2)
        self._budget.image(self._width, self._height)
        yield from self._colours(screen[4])

    def _image(self) -> Step[None]:
        place = yield from self._source.take(_IMAGE_BYTES)
        left, top, width, height = (_number(place, at) for at in (0, 2, 4, 6))
        self._budget.frame(width, height)
        # Readers differ on these: some clip the image, others make the screen as large.
        if left + width > self._width or top + height > self._height:
            raise _malformed("A frame does not fit on its screen.")
        yield from self._colours(place[8])
        if (yield from self._byte()) not in _CODE_SIZES:
            raise _malformed("Its pixels are not packed as they should be.")
        yield from self._pixels(width * height)

    def _pixels(self, count: int) -> Step[None]:
        packed, most = 0, count * _PIXEL_BYTES + _END_BYTES
        while size := (yield from self._piece()):
            packed += size
            if packed > most:
                raise Rejected(TRAILING_DATA, "There is image data beyond the size of a frame.")
            yield from self._source.skip(size)
        if not packed:
            raise _malformed("A frame has no pixels.")

    def _extension(self) -> Step[None]:
        label = yield from self._byte()
        size = yield from self._piece()
        if size != _FIXED.get(label, size):
            raise _malformed("An extension has another size than its kind has.")
        while size:
            yield from self._look(size)
            size = yield from self._piece()

    def _look(self, count: int) -> Step[None]:
        """Search a sub-block, with its size byte and without."""
        self._written.look(bytes((count,)))
        piece = yield from self._source.take(count)
        self._written.look(piece)
        self._joined.look(piece)

    def _piece(self) -> Step[int]:
        """Return the size of the next sub-block, 0 after the last one (§15-16)."""
        self._parts.one_more(self._source.offset)
        return (yield from self._byte())

    def _colours(self, packed: int) -> Step[None]:
        if packed & _HAS_TABLE:
            yield from self._source.skip(3 << (packed & _TABLE_SIZE) + 1)

    def _byte(self) -> Step[int]:
        [byte] = yield from self._source.take(1)
        return byte


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _malformed(message: str) -> Rejected:
    return Rejected(MALFORMED, f"The image is no valid GIF. {message}")


GIF: Final = gif()
"""GIF, animated or not, of at most `MAX_PIXELS` a frame."""
