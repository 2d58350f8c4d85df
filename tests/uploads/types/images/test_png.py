"""A PNG is taken if it is whole, is nothing else, and is no bomb for who draws it."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from roadworthy.uploads.types import PNG, png
from support import judging

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def verdict(content: bytes, *cuts: int, kind=PNG) -> str:
    return judging.verdict(content, *cuts, kind=kind)


def file_of(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes = b"") -> bytes:
    crc = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def header(width=1, height=1, depth=8, colour=0, rest=b"\0\0\0") -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBB", width, height, depth, colour) + rest)


PIXELS = chunk(b"IDAT", zlib.compress(b"\0\0"))
END = chunk(b"IEND")


def of_chunks(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks)


def with_chunk(name: bytes, data: bytes) -> bytes:
    return of_chunks(header(), chunk(name, data), PIXELS, END)


def frame(number: int, width: int = 1, height: int = 1) -> bytes:
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 1, 0, 0))


def with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "plain")
    texts.add_text("Comment", "packed " * 100, zip=True)
    texts.add_itxt("Author", "Zoë", "de", "Autorin")
    texts.add_itxt("Description", "ä" * 500, "de", "Beschreibung", zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return file_of(Image.new("RGB", (9, 9)), pnginfo=texts, icc_profile=profile, exif=b"Exif\0\0")


def animation(frames: int = 3, side: int = 12) -> bytes:
    images = [Image.new("RGB", (side, side), (90 * n % 256, 0, 0)) for n in range(frames)]
    return file_of(images[0], save_all=True, append_images=images[1:], duration=40)


def interlaced() -> bytes:
    """Three of Adam7's seven passes have pixels in an image of 2 by 2."""
    passes = b"\0\0\0\0\0\0\0"
    return of_chunks(header(2, 2, rest=b"\0\0\1"), chunk(b"IDAT", zlib.compress(passes)), END)


PLAIN = file_of(Image.linear_gradient("L").resize((20, 20)))
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
HONEST = {mode: file_of(Image.new(mode, (7, 5))) for mode in MODES} | {
    "texts": with_texts(),
    "animated": animation(),
    "interlaced": interlaced(),
    "transparent": file_of(Image.new("P", (7, 5)), transparency=0),
    "two IDAT": of_chunks(
        header(),
        chunk(b"IDAT", zlib.compress(b"\0\0")[:3]),
        chunk(b"IDAT", zlib.compress(b"\0\0")[3:]),
        END,
    ),
}


@pytest.mark.parametrize("content", HONEST.values(), ids=HONEST)
def test_an_honest_image_is_taken(content):
    Image.open(io.BytesIO(content)).load()

    assert PNG.matches(content)
    assert verdict(content) == judging.byte_by_byte(content, kind=PNG) == "taken"


@given(st.lists(st.integers(0, 10**5), max_size=20))
def test_cuts_make_no_difference(cuts):
    hiding = with_chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"<?php echo 1;"))

    assert verdict(HONEST["texts"], *cuts) == "taken"
    assert verdict(HONEST["animated"], *cuts) == "taken"
    assert verdict(hiding, *cuts) == "hidden_format"
    assert verdict(PLAIN + b"x" * 40, *cuts) == "trailing_data"


@pytest.mark.parametrize("content", [PLAIN, HONEST["texts"], HONEST["animated"]])
def test_an_image_that_is_cut_anywhere_is_rejected(content):
    assert judging.truncated(content, kind=PNG) == {"truncated"}


@pytest.mark.parametrize(
    "more", [b"\0x", b"x", b"\nx", b"\0" * 40_000, PLAIN, END, b"\xff\xd8\xff"]
)
def test_bytes_after_the_end_are_rejected(more):
    assert verdict(PLAIN + more) == "trailing_data"


@pytest.mark.parametrize("more", judging.OTHER_FILES)
def test_another_file_after_the_end_is_rejected(more):
    assert verdict(PLAIN + more) != "taken"


@pytest.mark.parametrize("hidden", judging.HIDDEN.values(), ids=judging.HIDDEN)
@pytest.mark.parametrize("place", ["tEXt", "eXIf", "private", "zTXt", "iTXt", "packed", "iCCP"])
def test_another_format_in_what_is_said_of_the_image_is_rejected(place, hidden):
    text = b"something " + hidden
    packed = zlib.compress(text)
    content = {
        "tEXt": with_chunk(b"tEXt", b"Comment\0" + text),
        "eXIf": with_chunk(b"eXIf", b"MM\0*" + text),
        "private": with_chunk(b"prVt", text),
        "zTXt": with_chunk(b"zTXt", b"Comment\0\0" + packed),
        "iTXt": with_chunk(b"iTXt", b"Comment\0\0\0de\0Kommentar\0" + text),
        "packed": with_chunk(b"iTXt", b"Comment\0\1\0de\0Kommentar\0" + packed),
        "iCCP": with_chunk(b"iCCP", b"sRGB\0\0" + packed),
    }

    assert verdict(content[place]) == "hidden_format"


def test_packed_text_is_looked_into_however_long_the_translation_is():
    packed = zlib.compress(judging.HIDDEN["PHP"])
    before, after = b"Comment\0\1\0de\0", b"\0" + packed

    assert verdict(with_chunk(b"iTXt", before + b"k" * 3000 + after)) == "hidden_format"
    assert verdict(with_chunk(b"iTXt", before + b"k" * 9000 + after)) == "malformed"


@pytest.mark.parametrize("keyword", [b"", b"k" * 80, b"k" * 300])
def test_packed_text_is_looked_into_whatever_it_is_called(keyword):
    packed = zlib.compress(judging.HIDDEN["PDF"] * 10)

    assert verdict(with_chunk(b"zTXt", keyword + b"\0\0" + packed)) in {
        "hidden_format",
        "malformed",
    }


@pytest.mark.parametrize("at", [128, 257, 0x8001])
def test_a_format_that_begins_at_a_fixed_place_is_rejected(at):
    magic = {128: b"DICM", 257: b"ustar", 0x8001: b"CD001"}[at]
    before = at - len(of_chunks(header())) - 8

    assert verdict(with_chunk(b"prVt", b"x" * before + magic)) == "hidden_format"


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (2**31 - 1, 1), (1, 70_000)])
def test_a_bomb_is_rejected_by_its_header(width, height):
    assert verdict(SIGNATURE + header(width, height)) == "too_many_pixels"


def test_an_image_without_pixels_is_rejected():
    assert verdict(of_chunks(header(0, 5), PIXELS, END)) == "malformed"


def test_limits_can_be_ones_own():
    assert verdict(PLAIN, kind=png(max_pixels=20 * 20)) == "taken"
    assert verdict(PLAIN, kind=png(max_pixels=20 * 20 - 1)) == "too_many_pixels"
    assert verdict(PLAIN, kind=png(max_side=19)) == "too_many_pixels"
    assert verdict(HONEST["animated"], kind=png(max_frames=3)) == "taken"
    assert verdict(HONEST["animated"], kind=png(max_frames=2)) == "too_many_frames"


def test_frames_are_counted_whatever_the_header_of_the_animation_says():
    frames = b"".join(frame(n) for n in range(30))
    control = chunk(b"acTL", struct.pack(">II", 1, 0))

    many = of_chunks(header(), control, frames, PIXELS, END)
    assert verdict(many, kind=png(max_frames=20)) == "too_many_frames"


def test_frames_that_are_too_many_pixels_together_are_rejected():
    frames = b"".join(frame(n, 100, 100) for n in range(30))
    control = chunk(b"acTL", struct.pack(">II", 30, 0))

    large = of_chunks(header(100, 100), control, frames, PIXELS, END)
    assert verdict(large, kind=png(max_pixels=10_000)) == "too_many_pixels"


@pytest.mark.parametrize(
    ("name", "before"), [(b"zTXt", b"A\0\0"), (b"iCCP", b"A\0\0"), (b"iTXt", b"A\0\1\0\0\0")]
)
def test_text_that_is_a_bomb_is_rejected(name, before):
    bomb = zlib.compress(bytes(9 * 2**20))

    assert verdict(with_chunk(name, before + bomb)) == "too_large_inside"


def test_texts_that_are_a_bomb_together_are_rejected():
    text = chunk(b"zTXt", b"A\0\0" + zlib.compress(bytes(2**20)))

    assert verdict(of_chunks(header(), text * 9, PIXELS, END)) == "too_large_inside"
    assert verdict(of_chunks(header(), text * 8, PIXELS, END)) == "taken"


def test_too_many_chunks_are_rejected():
    assert verdict(of_chunks(header(), chunk(b"tEXt") * 20_000)) == "too_many_entries"


BROKEN = {
    "a wrong checksum": of_chunks(header(), PIXELS[:-1] + b"\0", END),
    "no header": of_chunks(PIXELS, END),
    "no pixels": of_chunks(header(), END),
    "two headers": of_chunks(header(), header(), PIXELS, END),
    "another depth": of_chunks(header(depth=3), PIXELS, END),
    "another colour": of_chunks(header(colour=5), PIXELS, END),
    "another compression": of_chunks(header(rest=b"\1\0\0"), PIXELS, END),
    "another filter": of_chunks(header(rest=b"\0\1\0"), PIXELS, END),
    "another interlacing": of_chunks(header(rest=b"\0\0\2"), PIXELS, END),
    "a chunk between pixels": of_chunks(header(), PIXELS, chunk(b"tEXt", b"A\0b"), PIXELS, END),
    "an unknown critical chunk": of_chunks(header(), chunk(b"ABCD"), PIXELS, END),
    "no palette": of_chunks(header(colour=3), PIXELS, END),
    "a palette after pixels": of_chunks(header(colour=2), PIXELS, chunk(b"PLTE", b"abc"), END),
    "two palettes": of_chunks(header(colour=2), chunk(b"PLTE", b"abc") * 2, PIXELS, END),
    "a palette of parts": of_chunks(header(colour=2), chunk(b"PLTE", b"abcd"), PIXELS, END),
    "a large palette": of_chunks(header(colour=2), chunk(b"PLTE", b"abc" * 257), PIXELS, END),
    "content in the end": of_chunks(header(), PIXELS, chunk(b"IEND", b"x")),
    "a name of no letters": of_chunks(header(), chunk(b"a\0bc"), PIXELS, END),
    "frame data before pixels": of_chunks(header(), chunk(b"fdAT", b"abcde"), PIXELS, END),
    "a short frame": of_chunks(header(), chunk(b"fcTL", b"abcde"), PIXELS, END),
    "a huge chunk": of_chunks(header(), b"\xff\xff\xff\xfftEXt"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_rules_is_rejected(content):
    assert verdict(content) == "malformed"


def test_an_image_for_apple_only_is_rejected():
    assert verdict(of_chunks(chunk(b"CgBI", b"\0\0\0\0"), header(), PIXELS, END)) == "unsupported"


def test_any_byte_that_is_flipped_is_noticed():
    flipped = [
        PLAIN[:at] + bytes([PLAIN[at] ^ 0x41]) + PLAIN[at + 1 :] for at in range(8, len(PLAIN))
    ]

    assert "taken" not in {verdict(content) for content in flipped}


HOSTILE = {
    "small chunks": chunk(b"tEXt"),
    "small pixels": chunk(b"IDAT"),
    "frames": frame(1),
    "small packed texts": chunk(b"zTXt", b"A\0\0" + zlib.compress(b"x")),
    "packed texts": chunk(b"zTXt", b"A\0\0" + zlib.compress(bytes(1000))),
    "translations": chunk(b"iTXt", b"A\0\1\0" + b"k" * 5000),
    "one long translation": b"\0\x7f\xff\xffiTXtA\0\1\0" + b"k" * 100_000,
    "beginnings": b"\0\x7f\xff\xfftEXt" + b"<script<?phpPK\x03\x04" * 5000,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_repetition_takes_time_in_proportion(hostile):
    def seconds(size: int) -> float:
        return judging.seconds(of_chunks(header(), hostile * (size // len(hostile))), kind=PNG)

    assert seconds(4_000_000) < 12 * seconds(1_000_000) + 0.1
