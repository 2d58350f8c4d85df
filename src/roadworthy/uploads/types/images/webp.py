"""WebP (RFC 9649): chunks of RIFF in their order, and nothing after them.

Pixels are not decoded. The bitstream, the frame around it and the canvas each state their size,
and the three have to agree, because readers differ in which of them they allocate memory for.
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
    IN_METADATA,
    PolyglotScan,
    SingleFormat,
    look_through,
)
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import MALFORMED

__all__ = ["WEBP", "webp"]

_BITSTREAMS: Final = frozenset({b"VP8 ", b"VP8L"})
_ALPHA: Final = frozenset({b"ALPH"})
_FRAMES: Final = frozenset({b"ANMF"})
_PROFILE: Final = frozenset({b"ICCP"})
_CONTROL: Final = frozenset({b"ANIM"})
_STILL: Final = (_PROFILE, _ALPHA, _BITSTREAMS)
_ANIMATED: Final = (_PROFILE, _CONTROL, _FRAMES)
_FRAME: Final = (_ALPHA, _BITSTREAMS)
_ORDERED: Final = frozenset({b"VP8X"}).union(*_STILL, *_ANIMATED)
"""Chunks that have to come in this order. Others may stand anywhere but first (§2.7)."""

_EXTENDED_BYTES: Final = 10
_CONTROL_BYTES: Final = 6
_FRAME_BYTES: Final = 16
_HAS_FRAMES: Final = 0x02
_NO_KEY_FRAME: Final = 0x01
_VP8_START: Final = b"\x9d\x01\x2a"
_VP8L_START: Final = b"\x2f"


@limited
def webp(
    *, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE, max_frames: int = MAX_FRAMES
) -> FileType:
    """Make a `WEBP` with limits of your own: pixels of a frame, of a side, and frames."""

    def inspector() -> SingleFormat:
        budget = PixelBudget(max_pixels=max_pixels, max_side=max_side, max_frames=max_frames)
        return SingleFormat(PushParser(lambda source: _Webp(source, budget).read()))

    return FileType(
        formats.WEBP.media_type,
        formats.WEBP.extension,
        _matches,
        inspector,
        aliases=formats.WEBP.aliases,
    )


def _matches(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head.startswith(b"WEBP", 8)


class _Area:
    """A container of chunks: its end, the order of its chunks, and its size."""

    def __init__(self, end: int, order: tuple[frozenset[bytes], ...], size: tuple[int, int]):
        self.end, self.size = end, size
        self._order, self._at = order, 0
        self._seen: set[bytes] = set()

    def place(self, name: bytes) -> None:
        """Check that a chunk may come here."""
        if name not in _ORDERED:
            return
        after = [at for at, names in enumerate(self._order) if name in names and at >= self._at]
        if not after:
            raise _malformed("Its parts are not in their order.")
        self._at = after[0] + (name not in _FRAMES)
        self._seen.add(name)

    def judge(self) -> None:
        """Check that all required chunks have come."""
        if self._seen.isdisjoint(self._order[-1]):
            raise _malformed("It has no image.")
        if self._order is _ANIMATED and self._seen.isdisjoint(_CONTROL):
            raise _malformed("It is animated, and does not say how.")
        if self._seen >= {b"ALPH", b"VP8L"}:
            raise _malformed("It has two alpha channels.")


class _Webp:
    def __init__(self, source: PushedBytes, budget: PixelBudget) -> None:
        self._source, self._budget = source, budget
        self._parts = PartBudget(mean_bytes=1024)
        self._metadata = PolyglotScan(IN_METADATA)

    def read(self) -> Step[None]:
        head = yield from self._source.take(12)
        end = self._source.offset - 4 + int.from_bytes(head[4:8], "little")
        if not _matches(head) or end % 2:
            raise _malformed("It does not begin as one.")
        name, length = yield from self._begin(end)
        if name in _BITSTREAMS:
            self._budget.image(*(yield from self._bitstream(name, length)))
            yield from self._pad()
        elif name == b"VP8X" and length == _EXTENDED_BYTES:
            yield from self._extended(end)
        else:
            raise _malformed("Its first part is none.")
        if self._source.offset != end:
            raise _malformed("It says that it is longer.")

    def _extended(self, end: int) -> Step[None]:
        data = yield from self._source.take(_EXTENDED_BYTES)
        size = _number(data, 4, 3) + 1, _number(data, 7, 3) + 1
        self._budget.image(*size)
        yield from self._chunks(_Area(end, _ANIMATED if data[0] & _HAS_FRAMES else _STILL, size))

    def _chunks(self, area: _Area) -> Step[None]:
        while self._source.offset < area.end:
            name, length = yield from self._begin(area.end)
            area.place(name)
            yield from self._content(name, length, area)
            yield from self._pad()
        area.judge()

    def _begin(self, end: int) -> Step[tuple[bytes, int]]:
        head = yield from self._source.take(8)
        length = _number(head, 4, 4)
        after = self._source.offset + length
        if after + after % 2 > end:
            raise _malformed("A part is longer than what it is in.")
        self._parts.one_more(after)
        return head[:4], length

    def _pad(self) -> Step[None]:
        # All begin at even offsets, as the file does.
        if self._source.offset % 2 and (yield from self._source.take(1)) != b"\0":
            raise _malformed("There is something between its parts.")

    def _content(self, name: bytes, length: int, area: _Area) -> Step[None]:
        if name in _BITSTREAMS:
            if (yield from self._bitstream(name, length)) != area.size:
                raise _malformed("An image has another size than its frame.")
        elif name in _FRAMES:
            yield from self._frame(length, area)
        elif name in _ALPHA:
            yield from self._source.skip(length)
        elif name in _CONTROL and length != _CONTROL_BYTES:
            raise _malformed("It does not say how it is animated.")
        else:
            yield from look_through(self._source, length, self._metadata)

    def _frame(self, length: int, area: _Area) -> Step[None]:
        end = self._source.offset + length
        data = yield from self._take(length, _FRAME_BYTES)
        left, top = 2 * _number(data, 0, 3), 2 * _number(data, 3, 3)
        width, height = _number(data, 6, 3) + 1, _number(data, 9, 3) + 1
        self._budget.frame(width, height)
        if left + width > area.size[0] or top + height > area.size[1]:
            raise _malformed("A frame does not fit on its canvas.")
        yield from self._chunks(_Area(end, _FRAME, (width, height)))

    def _bitstream(self, name: bytes, length: int) -> Step[tuple[int, int]]:
        """Skip an image, and return the size in its bitstream."""
        if name == b"VP8 ":
            head = yield from self._take(length, 10)
            valid = head[3:6] == _VP8_START and not head[0] & _NO_KEY_FRAME
            size = _number(head, 6, 2) & 0x3FFF, _number(head, 8, 2) & 0x3FFF
        else:
            head = yield from self._take(length, 5)
            packed = _number(head, 1, 4)
            valid = head[:1] == _VP8L_START and not packed >> 29
            size = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        if not valid:
            raise _malformed("Its pixels are not packed as they should be.")
        yield from self._source.skip(length - len(head))
        return size

    def _take(self, length: int, count: int) -> Step[bytes]:
        if length < count:
            raise _malformed("A part is too short.")
        return (yield from self._source.take(count))


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _malformed(message: str) -> Rejected:
    return Rejected(MALFORMED, f"The image is no valid WebP. {message}")


WEBP: Final = webp()
"""WebP, lossy, lossless or animated, of at most `MAX_PIXELS` a frame."""
