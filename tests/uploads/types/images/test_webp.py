"""A WebP is taken if its chunks follow each other in order, and it is as large as it says."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from roadworthy.uploads.types import WEBP, webp
from support import judging


def verdict(content: bytes, *cuts: int, kind=WEBP) -> str:
    return judging.verdict(content, *cuts, kind=kind)


def file_of(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


def noise(mode: str = "RGB", side: int = 24) -> Image.Image:
    image = Image.effect_noise((side, side), 80).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.effect_noise((side, side), 80))
    return image


def animation(count: int = 3, mode: str = "RGB", **options: object) -> bytes:
    images = [noise(mode) for _ in range(count)]
    return file_of(images[0], save_all=True, append_images=images[1:], duration=40, **options)


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(*chunks: bytes, more: int = 0) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content) + more) + content


def three(number: int) -> bytes:
    return struct.pack("<I", number)[:3]


def extended(width: int = 1, height: int = 1, flags: int = 0) -> bytes:
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + three(width - 1) + three(height - 1))


def lossy(width: int = 1, height: int = 1, *, tag: bytes = b"\x10\0\0", data: bytes = b"") -> bytes:
    return chunk(b"VP8 ", tag + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + data)


def lossless(width: int = 1, height: int = 1, *, version: int = 0, data: bytes = b"") -> bytes:
    packed = (width - 1) | (height - 1) << 14 | version << 29
    return chunk(b"VP8L", b"\x2f" + struct.pack("<I", packed) + data)


def frame(
    width: int = 1, height: int = 1, left: int = 0, top: int = 0, *, image: bytes | None = None
) -> bytes:
    place = three(left // 2) + three(top // 2) + three(width - 1) + three(height - 1)
    content = lossy(width, height) if image is None else image
    return chunk(b"ANMF", place + three(40) + b"\0" + content)


def animated(*frames: bytes, width: int = 1, height: int = 1, control: bytes | None = None):
    control = chunk(b"ANIM", bytes(6)) if control is None else control
    return riff(extended(width, height, 2), control, *frames)


ALPHA = chunk(b"ALPH", b"\0\xff")
PROFILE = chunk(b"ICCP", b"profile")
PLAIN = file_of(noise())
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

DRAWN = {
    "lossy": PLAIN,
    "lossless": file_of(noise(), lossless=True),
    "lossy with alpha": file_of(noise("RGBA")),
    "lossless with alpha": file_of(noise("RGBA"), lossless=True),
    "profile": file_of(noise(), icc_profile=SRGB),
    "EXIF": file_of(noise(), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0"),
    "XMP": file_of(noise(), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
    "everything": file_of(
        noise("RGBA"), icc_profile=SRGB, exif=b"MM\0*\0\0\0\x08\0\0", xmp=b"<x/>"
    ),
    "animated": animation(),
    "animated with alpha": animation(mode="RGBA"),
    "animated and lossless": animation(lossless=True),
    "animated and mixed": animation(allow_mixed=True),
    "large": file_of(noise(side=300)),
}
BUILT = {
    "lossy by hand": riff(lossy()),
    "lossless by hand": riff(lossless()),
    "of odd length": riff(extended(), lossy(data=b"x"), chunk(b"EXIF", b"x")),
    "alpha": riff(extended(flags=0x10), ALPHA, lossy()),
    "an unknown chunk": riff(extended(), chunk(b"ABCD", b"x"), lossy(), chunk(b"EFGH")),
    "metadata before the image": riff(extended(), chunk(b"EXIF", b"x"), PROFILE, lossy()),
    "frames by hand": animated(frame(), frame(image=lossless()), frame(image=ALPHA + lossy())),
    "a frame with an unknown chunk": animated(frame(image=lossy() + chunk(b"ABCD", b"x"))),
    "a frame elsewhere": animated(frame(left=4, top=2), width=5, height=3),
    "scaled": riff(lossy(1 | 1 << 14, 1 | 2 << 14)),
}
HONEST = DRAWN | BUILT


@pytest.mark.parametrize("content", HONEST.values(), ids=HONEST)
def test_an_honest_image_is_taken(content):
    assert WEBP.matches(content)
    assert verdict(content) == judging.byte_by_byte(content, kind=WEBP) == "taken"


@pytest.mark.parametrize("content", DRAWN.values(), ids=DRAWN)
def test_what_is_drawn_here_can_be_drawn(content):
    Image.open(io.BytesIO(content)).load()


def test_only_what_begins_as_one_is_one():
    assert not WEBP.matches(b"RIFF\x04\0\0\0WAVE")
    assert not WEBP.matches(b"RIFX\x04\0\0\0WEBP")


@given(st.lists(st.integers(0, 10**5), max_size=20))
def test_cuts_make_no_difference(cuts):
    hiding = riff(extended(), lossy(), chunk(b"XMP ", b"something <?php echo 1;"))

    assert verdict(HONEST["everything"], *cuts) == "taken"
    assert verdict(HONEST["animated with alpha"], *cuts) == "taken"
    assert verdict(hiding, *cuts) == "hidden_format"
    assert verdict(PLAIN + b"x" * 40, *cuts) == "trailing_data"


@pytest.mark.parametrize("kind", ["lossy", "lossless", "everything", "animated", "of odd length"])
def test_an_image_that_is_cut_anywhere_is_rejected(kind):
    assert judging.truncated(HONEST[kind], kind=WEBP) == {"truncated"}


@pytest.mark.parametrize(
    "more", [b"\0x", b"x", b"\nx", b"\0" * 40_000, PLAIN, chunk(b"EXIF", b"x"), b"\xff\xd8\xff"]
)
@pytest.mark.parametrize("kind", ["lossy", "everything", "animated"])
def test_bytes_after_the_end_are_rejected(kind, more):
    assert verdict(HONEST[kind] + more) == "trailing_data"


@pytest.mark.parametrize("more", judging.OTHER_FILES)
def test_another_file_after_the_end_is_rejected(more):
    assert verdict(PLAIN + more) != "taken"


@pytest.mark.parametrize("more", [-4, -2, -1, 1, 2, 100])
def test_an_image_that_has_another_length_than_it_says_is_rejected(more):
    assert verdict(riff(extended(), lossy(), chunk(b"EXIF", b"xy"), more=more)) != "taken"
    assert verdict(riff(lossy(), more=more)) != "taken"


@pytest.mark.parametrize("hidden", judging.HIDDEN.values(), ids=judging.HIDDEN)
@pytest.mark.parametrize("name", [b"ICCP", b"EXIF", b"XMP ", b"ABCD"])
def test_another_format_in_what_is_said_of_the_image_is_rejected(name, hidden):
    said = chunk(name, b"something " + hidden)

    assert verdict(riff(extended(), said, lossy())) == "hidden_format"


@pytest.mark.parametrize(
    "hidden", [judging.HIDDEN["ZIP"], judging.HIDDEN["PDF"], judging.HIDDEN["PHP"]]
)
def test_another_format_in_pixels_is_rejected(hidden):
    assert verdict(riff(lossy(data=hidden))) == "hidden_format"
    assert verdict(riff(lossless(data=hidden))) == "hidden_format"
    assert verdict(riff(extended(), chunk(b"ALPH", hidden), lossy())) == "hidden_format"
    assert verdict(animated(frame(image=lossy() + chunk(b"ABCD", hidden)))) == "hidden_format"


@pytest.mark.parametrize("at", [128, 257, 0x8001])
def test_a_format_that_begins_at_a_fixed_place_is_rejected(at):
    magic = {128: b"DICM", 257: b"ustar", 0x8001: b"CD001"}[at]
    before = len(riff(extended())) + 8

    said = chunk(b"XMP ", b"x" * (at - before) + magic)
    assert verdict(riff(extended(), said, lossy())) == "hidden_format"


def test_an_image_that_is_a_script_is_rejected():
    content = riff(extended(), lossy(), chunk(b"XMP ", b"x" * 10_753))

    assert verdict(b"RIFF/*\0\0" + content[8:]) == "hidden_format"


@pytest.mark.parametrize(("width", "height"), [(16_383, 16_383), (10_000, 10_000)])
def test_a_bomb_is_rejected_by_its_header(width, height):
    assert verdict(riff(lossy(width, height))) == "too_many_pixels"
    assert verdict(riff(lossless(width, height))) == "too_many_pixels"
    assert verdict(riff(extended(width, height))[:30]) == "too_many_pixels"


def test_a_canvas_that_is_a_bomb_is_rejected():
    assert verdict(riff(extended(2**24, 2**24))) == "too_many_pixels"
    assert verdict(riff(extended(70_000, 1))) == "too_many_pixels"


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_rejected(width, height):
    assert verdict(riff(lossy(width, height))) == "malformed"


def test_limits_can_be_ones_own():
    assert verdict(PLAIN, kind=webp(max_pixels=24 * 24)) == "taken"
    assert verdict(PLAIN, kind=webp(max_pixels=24 * 24 - 1)) == "too_many_pixels"
    assert verdict(PLAIN, kind=webp(max_side=23)) == "too_many_pixels"
    assert verdict(HONEST["animated"], kind=webp(max_frames=3)) == "taken"
    assert verdict(HONEST["animated"], kind=webp(max_frames=2)) == "too_many_frames"


def test_frames_that_are_too_many_pixels_together_are_rejected():
    large = animated(*[frame(100, 100)] * 21, width=100, height=100)

    assert verdict(large, kind=webp(max_pixels=10_000)) == "too_many_pixels"


@pytest.mark.parametrize(
    "image", [lossy(2, 1), lossy(1, 2), lossless(2, 1), lossless(9_999, 9_999)]
)
def test_an_image_that_is_not_as_large_as_what_it_is_in_is_rejected(image):
    assert verdict(riff(extended(), image)) == "malformed"
    assert verdict(animated(frame(image=image), width=9, height=9)) == "malformed"


@pytest.mark.parametrize("place", [(2, 1, 0, 0), (1, 2, 0, 0), (1, 1, 2, 0), (1, 1, 0, 2)])
def test_a_frame_that_is_not_on_its_canvas_is_rejected(place):
    assert verdict(animated(frame(*place))) == "malformed"


def test_too_many_chunks_are_rejected():
    many = [chunk(b"ABCD")] * 20_000

    assert verdict(riff(extended(), *many, lossy())) == "too_many_entries"
    assert verdict(animated(frame(image=lossy() + b"".join(many)))) == "too_many_entries"


BROKEN = {
    "no image": riff(extended()),
    "no image, but a profile": riff(extended(), PROFILE),
    "another chunk first": riff(chunk(b"ABCD"), lossy()),
    "a profile first": riff(PROFILE, lossy()),
    "alpha first": riff(ALPHA, lossy()),
    "something after a simple image": riff(lossy(), chunk(b"EXIF", b"x")),
    "two simple images": riff(lossy(), lossy()),
    "two images": riff(extended(), lossy(), lossy()),
    "two headers": riff(extended(), extended(), lossy()),
    "two profiles": riff(extended(), PROFILE, PROFILE, lossy()),
    "a profile after the image": riff(extended(), lossy(), PROFILE),
    "alpha after the image": riff(extended(), lossy(), ALPHA),
    "alpha without an image": riff(extended(), ALPHA),
    "two alpha channels": riff(extended(), ALPHA, lossless()),
    "two alpha channels in a frame": animated(frame(image=ALPHA + lossless())),
    "frames, but no animation": riff(extended(), chunk(b"ANIM", bytes(6)), frame()),
    "an image in an animation": riff(extended(flags=2), chunk(b"ANIM", bytes(6)), lossy()),
    "an animation of nothing": animated(),
    "no control": animated(frame(), control=b""),
    "a control after frames": animated(frame(), chunk(b"ANIM", bytes(6)), control=b""),
    "a short control": animated(frame(), control=chunk(b"ANIM", b"x")),
    "a frame in a frame": animated(frame(image=frame())),
    "two images in a frame": animated(frame(image=lossy() + lossy())),
    "a frame of nothing": animated(frame(image=b"")),
    "a frame without alpha's image": animated(frame(image=ALPHA)),
    "a short frame": animated(chunk(b"ANMF", b"x")),
    "a frame longer than its place": animated(frame(image=lossy()[:4] + b"\xff\0\0\0")),
    "a short header": riff(chunk(b"VP8X", bytes(9)), lossy()),
    "a long header": riff(chunk(b"VP8X", bytes(12)), lossy()),
    "a chunk longer than the file": riff(extended(), b"ABCD\xff\xff\xff\xff"),
    "a padding that is something": riff(extended(), b"ABCD\1\0\0\0xx", lossy()),
    "a short VP8": riff(chunk(b"VP8 ", bytes(9))),
    "a short VP8L": riff(chunk(b"VP8L", b"\x2f")),
    "no start of VP8": riff(chunk(b"VP8 ", bytes(10))),
    "no start of VP8L": riff(chunk(b"VP8L", bytes(5))),
    "no key frame": riff(lossy(tag=b"\x11\0\0")),
    "another version of VP8L": riff(lossless(version=1)),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_rules_is_rejected(content):
    assert verdict(content) == "malformed"


HOSTILE = {
    "chunks": chunk(b"ABCD"),
    "metadata": chunk(b"EXIF", b"<script<?php%PDF-PK\x03RE~" * 50),
    "frames": frame(),
    "frames of chunks": frame(image=lossy() + chunk(b"ABCD") * 1000),
    "long metadata": chunk(b"XMP ", b"<script<?php%PDF-PK\x03RE~" * 50_000),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_repetition_takes_time_in_proportion(hostile):
    def seconds(size: int) -> float:
        return judging.seconds(animated(hostile * (size // len(hostile) + 1)), kind=WEBP)

    assert seconds(2_000_000) < 6 * seconds(1_000_000) + 0.1
    assert seconds(1_000_000) < 2
