"""A JPEG is taken if its segments follow each other up to its end, and nothing follows that."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from roadworthy.uploads.types import JPEG, jpeg
from support import judging


def verdict(content: bytes, *cuts: int, kind=JPEG) -> str:
    return judging.verdict(content, *cuts, kind=kind)


def file_of(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(mode: str = "RGB", side: int = 24) -> Image.Image:
    return Image.effect_noise((side, side), 80).convert(mode)


def segment(marker: int, data: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segment(marker: int, data: bytes) -> bytes:
    return PLAIN[:2] + segment(marker, data) + PLAIN[2:]


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    return file_of(noise(), exif=exif)


def with_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return file_of(noise(), icc_profile=profile * 200)  # more than one segment holds


def several(count: int = 3) -> bytes:
    """Images that an index lists: Pillow's own has wrong offsets from the fourth on."""
    first = len(with_segment(0xE2, bytes(66 + 16 * count)))
    begins = [0, *(first + n * len(PLAIN) - 10 for n in range(count - 1))]
    entries = b"".join(struct.pack(">IIIHH", 0, len(PLAIN), begin, 0, 0) for begin in begins)
    fields = (
        struct.pack(">HHI4s", 0xB000, 7, 4, b"0100"),
        struct.pack(">HHII", 0xB001, 4, 1, count),
        struct.pack(">HHII", 0xB002, 7, 16 * count, 50),
    )
    head = b"MPF\0MM\0*\0\0\0\x08\0\3" + b"".join(fields) + bytes(4)
    return with_segment(0xE2, (head + entries).ljust(66 + 16 * count)) + PLAIN * (count - 1)


def index(fields: int, entry: bytes = b"") -> bytes:
    """The beginning of an index that says how many fields it has."""
    return segment(0xE2, b"MPF\0MM\0*\0\0\0\x08" + struct.pack(">H", fields) + entry)


SOI, EOI = b"\xff\xd8", b"\xff\xd9"
PLAIN = file_of(noise("L"))
FRAME = segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0")
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0")

HONEST = {mode: file_of(noise(mode)) for mode in ("L", "RGB", "CMYK", "YCbCr")} | {
    "progressive": file_of(noise(), progressive=True),
    "optimized": file_of(noise(), optimize=True),
    "restarts": file_of(noise(side=64), restart_marker_blocks=1),
    "other sampling": file_of(noise(), subsampling="4:4:4"),
    "comment": file_of(noise(), comment="Ein Bild"),
    "EXIF": with_exif(),
    "thumbnail": file_of(noise(), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + PLAIN),
    "profile": with_profile(),
    "XMP": file_of(noise(), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
    "several": several(),
    "MPO of two": file_of(noise(), "MPO", save_all=True, append_images=[noise()]),
    "MPO of three": file_of(noise(), "MPO", save_all=True, append_images=[noise()] * 2),
    "fill before markers": PLAIN[:2] + b"\xff\xff\xff" + PLAIN[2:-2] + b"\xff\xff" + EOI,
}


@pytest.mark.parametrize("content", HONEST.values(), ids=HONEST)
def test_an_honest_image_is_taken(content):
    Image.open(io.BytesIO(content)).load()

    assert JPEG.matches(content)
    assert verdict(content) == judging.byte_by_byte(content, kind=JPEG) == "taken"


@given(st.lists(st.integers(0, 10**5), max_size=20))
def test_cuts_make_no_difference(cuts):
    hiding = with_segment(0xFE, b"a comment <?php echo 1;")

    assert verdict(HONEST["restarts"], *cuts) == "taken"
    assert verdict(HONEST["several"], *cuts) == "taken"
    assert verdict(hiding, *cuts) == "hidden_format"
    assert verdict(PLAIN + b"x" * 40, *cuts) == "trailing_data"


@pytest.mark.parametrize("kind", ["L", "progressive", "EXIF", "several", "restarts"])
def test_an_image_that_is_cut_anywhere_is_rejected(kind):
    assert judging.truncated(HONEST[kind], kind=JPEG) == {"truncated"}


@pytest.mark.parametrize("more", [b"x", b"\n", PLAIN, EOI, b"\0\0\0\0MZ", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("kind", ["L", "several"])
def test_bytes_after_the_end_are_rejected(kind, more):
    assert verdict(HONEST[kind] + more) == "trailing_data"


@pytest.mark.parametrize("kind", ["L", "several"])
def test_cameras_may_fill_their_last_sector(kind):
    assert verdict(HONEST[kind] + b"\0" * 512) == "taken"
    assert verdict(HONEST[kind] + b"\xff" * 512) == "taken"


SMALLER = file_of(noise(side=8))


@pytest.mark.sampled
@pytest.mark.parametrize("filling", [b"", b"\0" * 600, b"\xff" * 9])
@pytest.mark.parametrize("preview", [SMALLER, b"\0" + SMALLER[1:]])
@pytest.mark.parametrize("end", [b"", b"\0" * 600])
@given(cuts=st.lists(st.integers(0, 10**5), max_size=8))
def test_old_cameras_may_put_a_preview_behind_the_picture(filling, preview, end, cuts):
    content = PLAIN + filling + preview + end

    assert verdict(content, *cuts) == "taken"
    assert verdict(content + b"x", *cuts) == "trailing_data"


@pytest.mark.parametrize(
    ("preview", "reason"),
    [
        (PLAIN, "trailing_data"),
        (file_of(noise(side=48)), "trailing_data"),
        (SMALLER[:-9], "truncated"),
        (SMALLER[:-2] + b"\xff\xfe\0\x14<?php echo 1234567;\xff\xd9", "hidden_format"),
        (SMALLER[1:], "trailing_data"),
    ],
)
def test_what_is_no_smaller_image_is_no_preview(preview, reason):
    assert verdict(PLAIN + preview) == reason


def notes(*said: tuple[bytes, bytes], more: bytes = b"") -> bytes:
    """What Samsung's telephones write behind a picture, as ExifTool describes it."""
    parts = [b"\0\0\1\n" + struct.pack("<I", len(name)) + name + text for name, text in said]
    backs = [sum(map(len, parts[number:])) for number in range(len(parts))]
    index = b"SEFH" + struct.pack("<II", 101, len(parts))
    for part, back in zip(parts, backs, strict=True):
        index += b"\0\0\1\n" + struct.pack("<II", back, len(part))
    return b"".join(parts) + more + index + struct.pack("<I", len(index)) + b"SEFT"


TIME = (b"Image_UTC_Data", b"1486666298918")
PLACE = (b"MCC_Data", b"450")


@pytest.mark.parametrize("said", [(TIME,), (TIME, PLACE)])
@pytest.mark.parametrize("filling", [b"", b"\0" * 512])
def test_samsungs_telephones_may_write_notes_behind_the_end(said, filling):
    content = PLAIN + filling + notes(*said)

    assert verdict(content) == judging.byte_by_byte(content, kind=JPEG) == "taken"


@pytest.mark.parametrize(
    "more",
    [
        notes(TIME)[:-1],
        notes(TIME) + b"x",
        notes(TIME, more=b"x"),
        notes((b"MotionPhoto_Data", bytes(70_000))),
        notes(TIME).replace(b"SEFH", b"SEFG"),
        notes(TIME).replace(b"#\0\0\0#", b"#\0\0\0\1"),
        b"\0\0\1\n" + b"x" * 70_000,
        b"xSEFT",
        b"SEFT",
    ],
)
def test_what_only_looks_like_notes_is_rejected(more):
    assert verdict(PLAIN + more) == judging.byte_by_byte(PLAIN + more, kind=JPEG)
    assert verdict(PLAIN + more) == "trailing_data"


def test_another_format_in_notes_is_rejected():
    assert verdict(PLAIN + notes((b"Image_UTC_Data", b"<script>"))) == "hidden_format"


@pytest.mark.parametrize("more", judging.OTHER_FILES)
def test_another_file_after_the_end_is_rejected(more):
    assert verdict(PLAIN + more) != "taken"
    assert verdict(PLAIN + b"\0" * 512 + more) != "taken"


HIDDEN = {name: text for name, text in judging.HIDDEN.items() if "directory" not in name}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xE2, 0xED, 0xEF, 0xDB])
def test_another_format_in_a_segment_is_rejected(marker, hidden):
    assert verdict(with_segment(marker, b"something " + hidden)) == "hidden_format"


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_another_format_in_coded_data_is_rejected(hidden):
    assert verdict(PLAIN[:-2] + hidden + PLAIN[-2:]) == "hidden_format"


@pytest.mark.parametrize("at", [128, 257, 0x8001])
def test_a_format_that_begins_at_a_fixed_place_is_rejected(at):
    magic = {128: b"DICM", 257: b"ustar", 0x8001: b"CD001"}[at]

    assert verdict(with_segment(0xFE, b"x" * (at - 6) + magic)) == "hidden_format"


def test_an_image_that_is_a_script_is_rejected():
    script = SOI + b"\xff\xe0/*" + b"a" * (0x2F2A - 2) + PLAIN[2:]

    assert verdict(script) == "hidden_format"


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (65_535, 65_535)])
def test_a_bomb_is_rejected_by_its_header(width, height):
    size = struct.pack(">BHHB", 8, height, width, 1)

    assert verdict(SOI + segment(0xC0, size + b"\1\x11\0")) == "too_many_pixels"


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_every_kind_of_header_is_read(marker):
    size = struct.pack(">BHHB", 8, 65_000, 65_000, 1)

    assert verdict(SOI + segment(marker, size + b"\1\x11\0")) == "too_many_pixels"


def test_an_image_without_pixels_is_rejected():
    flat = FRAME.replace(b"\x08\0\x08\0\x08", b"\x08\0\0\0\x08")

    assert verdict(SOI + flat + SCAN + EOI) == "malformed"


def test_limits_can_be_ones_own():
    assert verdict(PLAIN, kind=jpeg(max_pixels=24 * 24)) == "taken"
    assert verdict(PLAIN, kind=jpeg(max_pixels=24 * 24 - 1)) == "too_many_pixels"
    assert verdict(PLAIN, kind=jpeg(max_side=23)) == "too_many_pixels"


def test_further_images_are_judged_like_the_first():
    large = several(2).rpartition(b"\0\x18\0\x18")
    bomb = large[0] + b"\xff\xf0\xff\xf0" + large[2]

    assert verdict(bomb) == "too_many_pixels"


def test_something_between_images_is_rejected():
    content = several(2)

    assert verdict(content.replace(EOI + SOI, EOI + b"x" + SOI)) == "malformed"
    assert verdict(content.replace(EOI + SOI, EOI + b"\0x" + SOI)) == "malformed"


def test_many_further_images_are_rejected():
    assert verdict(several(16)) == "taken"
    assert verdict(several(17)) == "too_many_frames"


BROKEN = {
    "no image data": SOI + FRAME + EOI,
    "no header": SOI + SCAN + b"abc" + EOI,
    "two headers": SOI + FRAME + FRAME + SCAN + EOI,
    "two beginnings": SOI + SOI + FRAME + SCAN + EOI,
    "a short header": SOI + segment(0xC0, b"\x08\0\x08") + SCAN + EOI,
    "no length": SOI + b"\xff\xe0\0\1" + FRAME + SCAN + EOI,
    "something between segments": SOI + b"abc" + FRAME + SCAN + EOI,
    "a restart before the scan": SOI + FRAME + b"\xff\xd0" + SCAN + EOI,
    "stuffing before the scan": SOI + FRAME + b"\xff\0" + SCAN + EOI,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_rules_is_rejected(content):
    assert verdict(SOI + FRAME + SCAN + b"abc" + EOI) == "taken"
    assert verdict(content) == "malformed"


def test_too_many_segments_are_rejected():
    many = SOI + segment(0xE0) * 20_000 + PLAIN[2:]

    assert verdict(many) == "too_many_entries"


HOSTILE = {
    "segments": segment(0xE0),
    "scans": SCAN,
    "fill": b"\xff",
    "stuffing": SCAN + b"\xff\0" * 10_000,
    "restarts": SCAN + b"\xff\xd0" * 10_000,
    "indexes": index(65_535),
    "full indexes": index(65_535, b"\xb0\2\0\7\0\0\0\x10\0\0\0\x08" * 5000),
    "long segments": segment(0xFE, b"<script<?php%PDF" * 4000),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_repetition_takes_time_in_proportion(hostile):
    def seconds(size: int) -> float:
        return judging.seconds(SOI + FRAME + hostile * (size // len(hostile)), kind=JPEG)

    assert seconds(2_000_000) < 6 * seconds(1_000_000) + 0.1
    assert seconds(1_000_000) < 5
