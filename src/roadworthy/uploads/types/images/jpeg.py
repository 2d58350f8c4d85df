"""JPEG (ITU-T T.81): its segments in their order, an end, and nothing after it.

Some files hold several images (CIPA DC-007, "MPF"): panoramas, previews, and the gain map
of Ultra HDR. Their index says where each image begins, and each is judged like the first.
Samsung's telephones write notes after the end, with an index; a video there is refused.
"""

import re
import struct
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import KiB
from roadworthy.uploads.types.images import formats
from roadworthy.uploads.types.images.pixel_budget import MAX_PIXELS, MAX_SIDE, PixelBudget
from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected
from roadworthy.uploads.types.inspecting.part_budget import PartBudget
from roadworthy.uploads.types.inspecting.polyglot import SingleFormat
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TRAILING_DATA

__all__ = ["JPEG", "jpeg"]

_SOI: Final = b"\xff\xd8"
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The end of the coded data of a scan: a marker that is neither stuffing nor a restart."""
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_APP2: Final = 0xE2
_MAX_IMAGES: Final = 16
_FILL: Final = 256
_FIELD_BYTES: Final = 12
_NOTE: Final = struct.Struct("<2x2sII")
_MAX_NOTES: Final = 64 * KiB


@limited
def jpeg(*, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE) -> FileType:
    """Make a `JPEG` with limits of your own: pixels of an image, and of a side."""

    def inspector() -> SingleFormat:
        budget = PixelBudget(max_pixels=max_pixels, max_side=max_side, max_frames=_MAX_IMAGES)
        return SingleFormat(PushParser(lambda source: _Jpeg(source, budget).read()))

    return FileType(
        formats.JPEG.media_type,
        formats.JPEG.extension,
        lambda head: head.startswith(b"\xff\xd8\xff"),
        inspector,
        aliases=formats.JPEG.aliases,
    )


class _Jpeg:
    def __init__(self, source: PushedBytes, budget: PixelBudget) -> None:
        self._source, self._budget = source, budget
        self._parts = PartBudget(mean_bytes=1024)
        self._others: list[int] = []
        """The offsets of further images."""
        self._sizes: list[int] = []
        """The pixels of each image."""

    def read(self) -> Step[None]:
        yield from self._image()
        others = sorted(self._others)[:_MAX_IMAGES]
        for offset in others:
            if offset >= self._source.offset:
                yield from self._padding(offset - self._source.offset)
                yield from self._image()
        yield from self._rest()

    def _padding(self, count: int) -> Step[None]:
        while count:
            yield from self._source.more()
            piece = bytes(self._source.here[:count])
            if piece.strip(b"\x00\xff"):
                raise _malformed("There is something between its images.")
            self._source.use(len(piece))
            count -= len(piece)

    def _rest(self) -> Step[None]:
        # Cameras pad the last sector with zeros, in which nothing can hide.
        last = b""
        while not (yield from self._source.at_end()):
            piece = bytes(self._source.here)
            filling = len(piece) - len(piece.lstrip(b"\x00\xff"))
            self._source.use(filling)
            last = piece[filling - 1 : filling] or last
            if filling < len(piece):
                # Minolta's previews have another first byte: ExifTool mends it.
                begins = bool(last) and piece[filling] == _SOI[1]
                yield from self._preview() if begins else self._notes()
                last = b""

    def _preview(self) -> Step[None]:
        self._source.use(1)  # the first byte was taken for padding
        yield from self._body()
        if self._sizes[-1] >= self._sizes[0]:
            raise _trailing()

    def _notes(self) -> Step[None]:
        """Read the notes of Samsung's telephones after the image."""
        notes = b""
        while len(notes) <= _MAX_NOTES and not (yield from self._source.at_end()):
            piece = bytes(self._source.here[:_MAX_NOTES])
            notes += piece
            self._source.use(len(piece))
        if len(notes) > _MAX_NOTES or not _are_notes(notes):
            raise _trailing()

    def _image(self) -> Step[None]:
        if (yield from self._source.take(2)) != _SOI:
            raise _malformed("It does not begin as one.")
        yield from self._body()

    def _body(self) -> Step[None]:
        """Read an image from the byte after its first marker to its last marker."""
        framed = scanned = False
        marker = yield from self._marker()
        while marker != _EOI:
            content = yield from self._segment(marker)
            if marker in _FRAMES:
                if framed:
                    raise _malformed("It has two headers.")
                framed = True
                self._frame(content)
            if marker == _SOS:
                if not framed:
                    raise _malformed("It has no header.")
                scanned = True
                marker = yield from self._scan()
            else:
                marker = yield from self._marker()
        if not scanned:
            raise _malformed("It has no image data.")

    def _segment(self, marker: int) -> Step[bytes]:
        if marker in _ALONE or marker == _SOI[1]:
            raise _malformed("A marker stands where it should not.")
        length = int.from_bytes((yield from self._source.take(2)))
        if length < 2:  # noqa: PLR2004 - the length counts itself
            raise _malformed("A segment has no length.")
        at = self._source.offset
        self._parts.one_more(at + length)
        content = yield from self._source.take(length - 2)
        if marker == _APP2 and content.startswith(b"MPF\x00"):
            self._others += _further_images(content[4:], at + 4)
        return content

    def _frame(self, content: bytes) -> None:
        if len(content) < 6:  # noqa: PLR2004 - precision, height, width, components
            raise _malformed("Its header is too short.")
        height, width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
        self._budget.frame(width, height)
        self._sizes.append(width * height)

    def _marker(self) -> Step[int]:
        if (yield from self._source.take(1)) != b"\xff":
            raise _malformed("A marker is missing.")
        yield from self._fill()
        [code] = yield from self._source.take(1)
        if code == 0:
            raise _malformed("A marker is missing.")
        return code

    def _fill(self) -> Step[None]:
        """Skip the fill bytes before a marker, of which there may be any number (B.1.1.2)."""
        code = b""
        while not code:
            yield from self._source.more()
            piece = bytes(self._source.here[:_FILL])
            code = piece.lstrip(b"\xff")
            self._source.use(len(piece) - len(code))

    def _scan(self) -> Step[int]:
        """Skip coded data, and return the marker that ends it."""
        last = b""
        while True:
            yield from self._source.more()
            piece = self._source.here
            ends = _IN_SCAN.match(last + bytes(piece[:1])) if last else None
            if ends is None:
                ends = _IN_SCAN.search(piece)
                used = ends.end() if ends else len(piece)
            else:
                used = 1
            code = piece[used - 1]
            last = b"\xff" if piece[-1] == 0xFF else b""  # noqa: PLR2004
            self._source.use(used)
            if ends:
                return code


def _further_images(index: bytes, start: int) -> list[int]:
    """Return the offsets of an MPF index, without that of the first image."""
    order = {b"II": "little", b"MM": "big"}.get(index[:2])
    if order is None:
        return []

    def number(at: int, size: int) -> int:
        return int.from_bytes(index[at : at + size], order)  # type: ignore[arg-type]

    fields = number(4, 4) + 2
    end = min(fields + number(fields - 2, 2) * _FIELD_BYTES, len(index))
    for at in range(fields, end, _FIELD_BYTES):
        if number(at, 2) == 0xB002:  # noqa: PLR2004 - the list of images
            count, entries = number(at + 4, 4) // 16, number(at + 8, 4)
            offsets = [number(entries + 16 * n + 8, 4) for n in range(1, min(count, _MAX_IMAGES))]
            return [start + offset for offset in offsets if offset]
    return []


def _are_notes(data: bytes) -> bool:
    """Return whether bytes are named notes with an index of all of them."""
    data = b"\0\0" + data  # each begins with these bytes, and the first was taken for padding
    index = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    if data[-4:] != b"SEFT" or index[:4] != b"SEFH" or len(index) % _NOTE.size:
        return False
    end = len(data) - len(index) - 8
    read = 0
    for kind, back, size in _NOTE.iter_unpack(index[_NOTE.size :]):
        if end - back != read or data[read : read + 4] != b"\0\0" + kind:
            return False
        read += size
    return read == end


def _trailing() -> Rejected:
    return Rejected(TRAILING_DATA, "There are bytes after the end of the image.")


def _malformed(message: str) -> Rejected:
    return Rejected(MALFORMED, f"The image is broken. {message}")


JPEG: Final = jpeg()
"""JPEG, with all images that its index names."""
