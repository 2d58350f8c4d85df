"""A GIF is taken if its blocks follow each other up to its trailer, and nothing follows that."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from roadworthy.uploads.types import GIF, gif
from support import judging


def verdict(content: bytes, *cuts: int, kind=GIF) -> str:
    return judging.verdict(content, *cuts, kind=kind)


def file_of(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "GIF", **options)
    return file.getvalue()


def noise(mode: str = "L", side: int = 24) -> Image.Image:
    return Image.effect_noise((side, side), 80).convert(mode)


def animation(count: int = 3, **options: object) -> bytes:
    images = [noise() for _ in range(count)]
    return file_of(
        images[0], save_all=True, append_images=images[1:], duration=40, loop=0, **options
    )


def pieces(data: bytes, size: int = 255) -> bytes:
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(bytes([len(piece)]) + piece for piece in cut) + b"\0"


def extension(label: int, data: bytes, size: int = 255) -> bytes:
    return bytes([0x21, label]) + pieces(data, size)


def application(name: bytes, data: bytes, size: int = 255) -> bytes:
    return b"\x21\xff\x0b" + name + pieces(data, size)


def screen(width: int = 1, height: int = 1, packed: int = 0x80) -> bytes:
    table = b"\0" * (3 << (packed & 7) + 1) if packed & 0x80 else b""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, packed, 0, 0) + table


def frame(
    left: int = 0, top: int = 0, width: int = 1, height: int = 1, *, bits: int = 2, packed: int = 0
) -> bytes:
    table = b"\0" * (3 << (packed & 7) + 1) if packed & 0x80 else b""
    place = struct.pack("<HHHHB", left, top, width, height, packed)
    return b"\x2c" + place + table + bytes([bits]) + pieces(b"\x44\x01")


CONTROL = extension(0xF9, b"\0\0\0\0")
END = b"\x3b"
SMALL = screen() + frame() + END
PLAIN = file_of(noise())

# As Adobe embeds it: the text as it is, and a trailer that leads walkers to its end.
XMP = b"<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/'/><?xpacket end='w'?>"
TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"

HONEST = {mode: file_of(noise(mode)) for mode in ("1", "L", "P", "RGB")} | {
    "GIF87a": b"GIF87a" + SMALL[6:],
    "by hand": SMALL,
    "interlaced": file_of(noise(), interlace=1),
    "transparent": file_of(noise("P"), transparency=0),
    "RGBA": file_of(noise("RGBA")),
    "comment": file_of(noise(), comment=b"A comment. " * 60),
    "animated": animation(),
    "disposed": animation(disposal=2),
    "XMP": screen() + b"\x21\xff\x0bXMP DataXMP" + XMP + TRAILER + frame() + END,
    "profile": screen() + application(b"ICCRGBG1012", bytes(600)) + frame() + END,
    "plain text": screen() + CONTROL + b"\x21\1\x0c" + bytes(12) + pieces(b"Hi") + frame() + END,
    "own colours": screen(packed=0) + frame(packed=0x81) + END,
    "no colours": screen(packed=0) + frame() + END,
    "all colours": screen(packed=0x87) + frame(packed=0x87) + END,
    "unknown extension": screen() + extension(0x42, b"something") + frame() + END,
}


@pytest.mark.parametrize("content", HONEST.values(), ids=HONEST)
def test_an_honest_image_is_taken(content):
    Image.open(io.BytesIO(content)).load()

    assert GIF.matches(content)
    assert verdict(content) == judging.byte_by_byte(content, kind=GIF) == "taken"


def test_only_what_begins_as_one_is_one():
    assert not GIF.matches(b"GIF88a" + SMALL[6:])
    assert not GIF.matches(b"\n" + SMALL)


@given(st.lists(st.integers(0, 10**5), max_size=20))
def test_cuts_make_no_difference(cuts):
    hiding = screen() + extension(0xFE, b"a comment <?php echo 1;", 7) + frame() + END

    assert verdict(HONEST["animated"], *cuts) == "taken"
    assert verdict(HONEST["XMP"], *cuts) == "taken"
    assert verdict(hiding, *cuts) == "hidden_format"
    assert verdict(PLAIN + b"x" * 40, *cuts) == "trailing_data"


@pytest.mark.parametrize("kind", ["L", "animated", "comment", "XMP", "plain text", "own colours"])
def test_an_image_that_is_cut_anywhere_is_rejected(kind):
    assert judging.truncated(HONEST[kind], kind=GIF) == {"truncated"}


@pytest.mark.parametrize(
    "more", [b"\0x", b"x", b"\nx", b"\0" * 40_000, PLAIN, END, frame() + END, b"\xff\xd8\xff"]
)
def test_bytes_after_the_end_are_rejected(more):
    assert verdict(PLAIN + more) == "trailing_data"


def packed(width: int, height: int, data: bytes) -> bytes:
    place = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2"
    return screen(width, height) + place + pieces(data) + END


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (40, 40)])
def test_more_image_data_than_a_frame_can_have_is_rejected(width, height):
    most = width * height * 3 + 4

    assert verdict(packed(width, height, b"\x44" * most)) == "taken"
    assert verdict(packed(width, height, b"\x44" * (most + 1))) == "trailing_data"
    assert verdict(packed(width, height, b"\x44" * 50_000)) == "trailing_data"


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_least_thrifty_of_encoders_is_taken(width, height):
    codes = 2 * width * height + 2  # each pixel and the end after a clear code, all of 12 bits

    assert verdict(packed(width, height, bytes(-(-codes * 12 // 8)))) == "taken"


@pytest.mark.parametrize("more", judging.OTHER_FILES)
def test_another_file_after_the_end_is_rejected(more):
    assert verdict(PLAIN + more) != "taken"


@pytest.mark.parametrize("hidden", judging.HIDDEN.values(), ids=judging.HIDDEN)
@pytest.mark.parametrize("size", [255, 3])
@pytest.mark.parametrize(
    "before",
    [b"\x21\xfe", b"\x21\x42", b"\x21\xff\x0bNETSCAPE2.0", b"\x21\1\x0c" + bytes(12)],
    ids=["comment", "unknown", "application", "plain text"],
)
def test_another_format_in_what_is_said_of_the_image_is_rejected(before, hidden, size):
    block = before + pieces(b"something " + hidden, size)

    assert verdict(screen() + block + frame() + END) == "hidden_format"
    assert verdict(screen() + frame() + block + END) == "hidden_format"


def test_another_format_that_has_the_size_of_a_piece_in_it_is_rejected():
    text = b"\x21\xfe\x02ABPK\x01\x02" + b"x" * (ord("P") - 3) + b"\0"

    assert verdict(screen() + text + frame() + END) == "hidden_format"


@pytest.mark.parametrize(
    "hidden", [judging.HIDDEN["ZIP"], judging.HIDDEN["PDF"], judging.HIDDEN["PHP"]]
)
def test_another_format_in_pixels_or_colours_is_rejected(hidden):
    pixels = frame().replace(b"\x02\x44\x01\0", pieces(b"\x44\x01" + hidden))
    colours = screen(packed=0x87)[:-60] + hidden.ljust(60)

    assert verdict(screen() + pixels + END) == "hidden_format"
    assert verdict(colours + frame() + END) == "hidden_format"


@pytest.mark.parametrize("at", [128, 257])
def test_a_format_that_begins_at_a_fixed_place_is_rejected(at):
    magic = {128: b"DICM", 257: b"ustar"}[at]
    head = screen()
    text = b"x" * (at - len(head) - 3) + magic

    assert verdict(head + extension(0xFE, text, len(text)) + frame() + END) == "hidden_format"


def test_an_image_that_is_a_script_is_rejected():
    assert verdict(screen(*struct.unpack("<HH", b"/*a\0")) + frame() + END) == "hidden_format"


@pytest.mark.parametrize(("width", "height"), [(65_535, 65_535), (10_000, 10_000)])
def test_a_bomb_is_rejected_by_its_header(width, height):
    assert verdict(screen(width, height)) == "too_many_pixels"


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_rejected(width, height):
    assert verdict(screen(width, height) + frame() + END) == "malformed"
    assert verdict(screen() + frame(width=width, height=height) + END) == "malformed"


@pytest.mark.parametrize(
    "place", [(1, 0, 1, 1), (0, 1, 1, 1), (0, 0, 2, 1), (65_535, 65_535, 1, 1)]
)
def test_a_frame_that_is_not_on_its_screen_is_rejected(place):
    assert verdict(screen() + frame() + frame(*place) + END) == "malformed"


def test_limits_can_be_ones_own():
    assert verdict(PLAIN, kind=gif(max_pixels=24 * 24)) == "taken"
    assert verdict(PLAIN, kind=gif(max_pixels=24 * 24 - 1)) == "too_many_pixels"
    assert verdict(PLAIN, kind=gif(max_side=23)) == "too_many_pixels"
    assert verdict(HONEST["animated"], kind=gif(max_frames=3)) == "taken"
    assert verdict(HONEST["animated"], kind=gif(max_frames=2)) == "too_many_frames"


def test_frames_that_are_too_many_pixels_together_are_rejected():
    frames = frame(width=100, height=100) * 21

    large = screen(100, 100) + frames + END
    assert verdict(large, kind=gif(max_pixels=10_000)) == "too_many_pixels"


def test_too_many_pieces_are_rejected():
    many = screen() + extension(0xFE, b"x" * 20_000, 1)

    assert verdict(many) == "too_many_entries"
    assert verdict(screen() + extension(0x42, b"") * 20_000) == "too_many_entries"


BROKEN = {
    "no image": screen() + END,
    "nothing but extensions": screen() + CONTROL + END,
    "something between blocks": screen() + b"\0" + frame() + END,
    "a piece after the last": screen() + frame() + b"\1x\0" + END,
    "a frame without data": screen() + frame().replace(b"\x02\x44\x01\0", b"\0") + END,
    "a code size of 1": screen() + frame(bits=1) + END,
    "a code size of 9": screen() + frame(bits=9) + END,
    "a code size of 0": screen() + frame(bits=0) + END,
    "a short control": screen() + extension(0xF9, b"\0\0\0") + frame() + END,
    "a control of nothing": screen() + extension(0xF9, b"") + frame() + END,
    "a long name": screen() + extension(0xFF, b"NETSCAPE2.0!") + frame() + END,
    "a short grid": screen() + extension(0x01, b"abc") + frame() + END,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_rules_is_rejected(content):
    assert verdict(content) == "malformed"


HOSTILE = {
    "extensions": extension(0x42, b""),
    "comments": extension(0xFE, b"x" * 60),
    "controls": CONTROL,
    "small pieces": b"\x21\xfe" + b"\x01x" * 30_000 + b"\0",
    "pieces": b"\x21\xfe" + (b"\x28" + b"<script<?php%PDF-PK\x03RE~" * 2)[:41] * 30_000 + b"\0",
    "frames": frame(),
    "pixels": b"\x2c" + bytes(4) + b"\1\0\1\0\0\2" + (b"\x20" + b"x" * 32) * 30_000 + b"\0",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_repetition_takes_time_in_proportion(hostile):
    def seconds(size: int) -> float:
        return judging.seconds(screen() + hostile * (size // len(hostile) + 1), kind=GIF)

    assert seconds(2_000_000) < 6 * seconds(1_000_000) + 0.1
    assert seconds(1_000_000) < 2
