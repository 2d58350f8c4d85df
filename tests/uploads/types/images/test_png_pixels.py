"""A PNG has as many pixels as it says: more of them are bytes after the end of a file."""

import io
import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from roadworthy.uploads.types import PNG, png
from roadworthy.uploads.types.images import png_pixels
from support import judging
from uploads.types.images.test_png import END, animation, chunk, file_of, frame, header, of_chunks

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
FORMS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]
SIZES = [(1, 1), (2, 5), (3, 3), (5, 2), (8, 8), (33, 17), (64, 1), (1, 64)]
# Which of seven passes each pixel of an 8 by 8 tile is in (PNG, third edition, §8.1).
ADAM7 = (
    *("16462646", "77777777", "56565656", "77777777"),
    *("36463646", "77777777", "56565656", "77777777"),
)


def verdict(content: bytes, *cuts: int, kind=PNG) -> str:
    return judging.verdict(content, *cuts, kind=kind)


def rows(width: int, height: int, bits: int) -> bytes:
    return (b"\0" + bytes(-(-width * bits // 8))) * height if width else b""


def passes(width: int, height: int, bits: int) -> bytes:
    """The same with Adam7, by looking at each pixel of the tile."""
    found = b""
    for number in "1234567":
        inside = [
            (x, y) for y in range(height) for x in range(width) if ADAM7[y % 8][x % 8] == number
        ]
        across, down = len({x for x, _ in inside}), len({y for _, y in inside})
        found += rows(across, down, bits)
    return found


def image(width, height, colour, depth, *, interlaced=False, more=b"", after=b"", level=6) -> bytes:
    lines = passes if interlaced else rows
    data = lines(width, height, SAMPLES[colour] * depth) + more
    rest = b"\0\0\1" if interlaced else b"\0\0\0"
    palette = [chunk(b"PLTE", b"abc")] if colour == 3 else []
    packed = chunk(b"IDAT", zlib.compress(data, level) + after)
    return of_chunks(header(width, height, depth, colour, rest), *palette, packed, END)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(("colour", "depth"), FORMS)
def test_an_image_may_be_full_and_no_fuller(colour, depth, width, height, interlaced):
    full = image(width, height, colour, depth, interlaced=interlaced)
    fuller = image(width, height, colour, depth, interlaced=interlaced, more=b"x")
    Image.open(io.BytesIO(full)).load()

    assert verdict(full) == "taken"
    assert verdict(fuller) == "trailing_data"


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_what_pillow_saves_is_taken_whatever_its_size(mode, level):
    sizes = random.Random(7).sample(range(1, 700), 6)
    images = [Image.new(mode, (wide, high)) for wide in sizes for high in sizes[:3]]

    found = {verdict(file_of(one, compress_level=level)) for one in images}
    assert found == {"taken"}


HIDDEN = {
    "rows": {"more": b"<?php echo 1;" * 1000},
    "a bomb": {"more": bytes(10**6)},
    "stored": {"more": random.Random(1).randbytes(200_000), "level": 0},
    "after the stream": {"after": b"PK\3\4"},
    "one byte after the stream": {"after": b"\0"},
    "another stream": {"after": zlib.compress(b"\0\0")},
}


@pytest.mark.parametrize("hidden", HIDDEN)
@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 10**5), max_size=9))
def test_image_data_beyond_the_image_is_rejected_however_it_is_cut(hidden, cuts):
    assert verdict(image(3, 3, 2, 8, **HIDDEN[hidden]), *cuts) == "trailing_data"


def test_pixels_that_cannot_be_unpacked_are_rejected():
    assert verdict(of_chunks(header(), chunk(b"IDAT", b"PK\3\4" * 9), END)) == "malformed"


def animated(*frames: bytes) -> bytes:
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    return of_chunks(
        header(), control, frame(0), chunk(b"IDAT", zlib.compress(b"\0\0")), *frames, END
    )


def frame_data(number: int, data: bytes) -> bytes:
    return chunk(b"fdAT", struct.pack(">I", number) + data)


def test_a_frame_has_as_many_pixels_as_it_says():
    small, larger = zlib.compress(b"\0\0"), zlib.compress(b"\0\0\0")
    in_two = frame_data(2, small[:4]) + frame_data(3, small[4:])

    assert verdict(animation(frames=5, side=30)) == "taken"
    assert verdict(animated(frame(1), frame_data(2, small))) == "taken"
    assert verdict(animated(frame(1), in_two, frame(4), frame_data(5, small))) == "taken"
    assert verdict(animated(frame(1, 2, 1), frame_data(2, larger))) == "taken"
    assert verdict(animated(frame(1), frame_data(2, larger))) == "trailing_data"
    assert verdict(animated(frame(1), in_two, frame_data(4, b"x"))) == "trailing_data"


def test_frame_data_of_no_frame_is_rejected():
    assert verdict(animated(frame_data(1, zlib.compress(b"\0\0")))) == "trailing_data"


def test_frames_that_are_packed_far_too_well_are_rejected(monkeypatch):
    monkeypatch.setattr(png_pixels, "_FREE", 2**20)
    side = 300
    flat = zlib.compress((b"\0" + bytes(side * 8)) * side)
    frames = [frame(n, side, side) + frame_data(n + 1, flat) for n in range(1, 9, 2)]
    control = chunk(b"acTL", struct.pack(">II", 5, 0))
    begin = (header(side, side, 16, 6), control, frame(0), chunk(b"IDAT", flat))
    kind = png(max_pixels=side * side)

    assert verdict(of_chunks(*begin, END), kind=kind) == "taken"
    assert verdict(of_chunks(*begin, *frames, END), kind=kind) == "too_large_inside"
    roomy = chunk(b"prVt", bytes(20_000))
    assert verdict(of_chunks(begin[0], roomy, *begin[1:], *frames, END), kind=kind) == "taken"


def test_a_large_flat_image_is_unpacked_in_time():
    content = image(3000, 3000, 6, 8)

    assert verdict(content) == "taken"
    assert judging.seconds(content, kind=PNG) < 2
