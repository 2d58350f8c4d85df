"""Images made anew: nothing is left in them but what is seen, and none of them hurts us."""

import asyncio
import io
import os
import pickle
import signal
import struct
import subprocess
import sys
import zlib
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from anyio import CancelScope
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

from roadworthy.jobs.processes.pool import Processes
from roadworthy.problems import ServiceUnavailable
from roadworthy.uploads.images import Reencode, reencode, thumbnail
from roadworthy.uploads.types.inspecting.filetype import Rejected

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
MIB = 1024 * 1024


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def half_and_half(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, BLUE)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill=RED)
    return image


def png(width: int, height: int, rows: bytes = b"", *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG whose header may promise more than its data holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...]) -> bool:
    found = image.convert("RGBA" if len(colour) == 4 else "RGB").getpixel(at)
    return all(abs(a - b) < 16 for a, b in zip(found, colour, strict=True))


# --- thumbnails -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 500), (256, 128)), ((30, 3000), (3, 256)), ((20, 10), (20, 10))]
)
def test_a_thumbnail_is_a_png_that_fits_into_a_square(size, expected):
    image = opened(thumbnail(file_of(half_and_half(size), "JPEG")))

    assert (image.format, image.size) == ("PNG", expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_a_thumbnail_shows_what_the_image_shows(kind):
    image = opened(thumbnail(file_of(half_and_half((640, 320)), kind), max_side=64))

    assert image.size == (64, 32)
    assert near(image, (8, 16), RED)
    assert near(image, (56, 16), BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_images_of_every_mode_have_one(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    grey = Image.new("L", (20, 20), 255)
    white = Image.new(mode, grey.size, 65535) if mode == "I;16" else grey.convert(mode)

    image = opened(thumbnail(file_of(white, kind)))

    assert image.mode in {"L", "RGB", "RGBA"}
    assert near(image, (10, 10), WHITE)


def test_sixteen_bits_are_scaled_and_not_cut():
    grey = Image.new("I;16", (10, 10), 128 * 256)

    assert near(opened(thumbnail(file_of(grey))), (5, 5), (128, 128, 128))


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_what_is_transparent_stays_so(mode):
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}

    assert near(opened(thumbnail(file_of(image, **options))), (5, 5), (0, 0, 0, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_upright(orientation):
    upright = half_and_half((64, 32))
    undone = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    kept = upright.transpose(undone[orientation]) if orientation in undone else upright
    exif = Image.Exif()
    exif[0x0112] = orientation

    image = opened(thumbnail(file_of(kept, "JPEG", exif=exif)))

    assert image.size == (64, 32)
    assert near(image, (8, 16), RED)
    assert near(image, (56, 16), BLUE)


def test_an_animation_shows_its_first_frame():
    frames = [Image.new("RGB", (10, 10), colour) for colour in (RED, GREEN, BLUE)]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])

    image = opened(thumbnail(data))

    assert near(image, (5, 5), RED)
    assert getattr(image, "n_frames", 1) == 1


def test_a_broken_profile_and_broken_exif_do_not_matter():
    data = file_of(half_and_half(), "JPEG", icc_profile=b"nonsense", exif=b"Exif\0\0nonsense")

    assert near(opened(thumbnail(data)), (8, 16), RED)


# --- made anew ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "kind", "made"),
    [
        ("image/png", "PNG", "PNG"),
        ("image/jpeg", "JPEG", "JPEG"),
        ("image/webp", "WEBP", "WEBP"),
        ("image/gif", "GIF", "PNG"),
    ],
)
def test_an_image_is_the_same_when_it_is_made_anew(media_type, kind, made):
    image = opened(reencode(file_of(half_and_half(), kind), media_type=media_type))

    assert (image.format, image.size) == (made, (64, 32))
    assert near(image, (8, 16), RED)
    assert near(image, (56, 16), BLUE)


@pytest.mark.parametrize(
    ("media_type", "kind"), [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/webp", "WEBP")]
)
def test_nothing_is_left_but_what_is_seen(media_type, kind):
    exif = Image.Exif()
    exif[0x010E] = "at home, MARKER"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "MARKER")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = file_of(
        half_and_half(),
        kind,
        exif=exif,
        icc_profile=profile,
        comment=b"MARKER",
        pnginfo=text,
        xmp=b"<x>MARKER</x>",
    )

    made = reencode(data + b"MARKER", media_type=media_type)

    assert b"MARKER" in data
    assert b"MARKER" not in made
    assert not {"exif", "icc_profile", "comment", "xmp"} & set(opened(made).info)
    assert not dict(opened(made).getexif())


def test_colours_are_what_the_profile_means():
    # A profile whose red and blue have changed places.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    data = file_of(Image.new("RGB", (10, 10), RED), icc_profile=bytes(profile))

    assert near(opened(reencode(data, media_type="image/png")), (5, 5), BLUE)


def test_a_larger_image_is_made_smaller_when_asked_to():
    made = reencode(file_of(half_and_half((640, 320))), media_type="image/png", max_side=64)

    assert opened(made).size == (64, 32)


def test_an_image_of_another_type_than_it_was_taken_for_is_rejected():
    with pytest.raises(Rejected, match="broken_image"):
        reencode(file_of(half_and_half(), "JPEG"), media_type="image/png")


def test_a_type_that_is_none_of_ours_is_our_mistake():
    with pytest.raises(ValueError, match="These can: image/png, "):
        reencode(b"", media_type="image/tiff")


# --- hostile ones ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [(13_000, 13_000), (100_000, 1), (1, 100_000), (2**31 - 1, 2**31 - 1)]
)
def test_an_image_with_too_many_pixels_is_rejected_by_its_header(size):
    bomb = png(*size, rows=bytes(1000))

    for make in (thumbnail, partial(reencode, media_type="image/png")):
        with pytest.raises(Rejected, match="too_many_pixels"):
            make(bomb)


def test_the_limit_of_pixels_can_be_chosen():
    data = file_of(Image.new("L", (100, 100)))

    assert thumbnail(data, max_pixels=10_000)
    with pytest.raises(Rejected, match="too_many_pixels"):
        thumbnail(data, max_pixels=9_999)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        b"\x89PNG\r\n\x1a\n",
        file_of(half_and_half())[:80],
        file_of(half_and_half((640, 640)), "JPEG")[:-200],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        file_of(half_and_half(), "TIFF"),
        file_of(half_and_half(), "BMP"),
        file_of(half_and_half(), "ICO"),
    ],
)
def test_what_is_broken_or_of_a_format_that_is_not_named_is_rejected(data):
    with pytest.raises(Rejected, match="broken_image"):
        thumbnail(data)


# --- in a process of its own ----------------------------------------------------------


def palette_that_moves() -> Image.Image:
    return Image.new("RGB", (64, 32), GREEN).convert("P")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {}),
        ("GIF", {"save_all": True, "append_images": [palette_that_moves()]}),
        ("GIF", {"transparency": 0}),
        ("PNG", {"save_all": True, "append_images": [half_and_half()]}),
        ("WEBP", {"save_all": True, "append_images": [half_and_half()], "xmp": b"<x/>"}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0", "comment": b"\xff"}),
        ("MPO", {"save_all": True, "append_images": [half_and_half()]}),
        (
            "PNG",
            {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()},
        ),
    ],
)
async def test_an_image_of_any_kind_is_made_anew_in_a_process(kind, options):
    media_type = f"image/{kind.lower().replace('mpo', 'jpeg')}"
    made = await Reencode(max_side=32).convert(
        file_of(half_and_half(), kind, **options), media_type=media_type
    )

    image = opened(made.data)
    assert (made.media_type, image.size) == (media_type.replace("gif", "png"), (32, 16))


@pytest.mark.parametrize(
    ("kind", "extension"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")]
)
async def test_an_image_keeps_its_type_and_quality_in_a_process(kind, extension):
    noise = Image.effect_noise((800, 800), 50)  # more than a pipe holds at once
    media_type = f"image/{kind.lower()}"

    made = await Reencode().convert(file_of(noise, kind), media_type=media_type)

    assert (made.media_type, made.extension) == (media_type, extension)
    assert (opened(made.data).format, opened(made.data).size) == (kind, (800, 800))


async def test_the_process_says_why_it_rejects_an_image():
    with pytest.raises(Rejected, match="too_many_pixels"):
        await Reencode().convert(png(13_000, 13_000), media_type="image/png")
    with pytest.raises(Rejected, match="broken_image"):
        await Reencode().convert(b"nothing", media_type="image/png")


async def test_an_image_that_takes_too_much_memory_is_rejected():
    bomb = png(6000, 6000, bytes(6000 * 18_001))  # 138 MiB decoded

    with pytest.raises(Rejected, match=r"too_much_memory|broken_image"):
        await Reencode(max_memory=64 * MIB).convert(bomb, media_type="image/png")


async def test_an_image_that_takes_too_long_is_rejected_and_its_process_killed():
    with pytest.raises(Rejected, match="too_slow"):
        await Reencode(timeout=timedelta(milliseconds=1)).convert(b"", media_type="image/png")

    assert children() == set()


async def test_a_process_that_hangs_is_killed_at_its_time(monkeypatch, tmp_path):
    from roadworthy.uploads import pixels

    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(pixels, "__file__", str(hanging))

    async with asyncio.timeout(10):
        with pytest.raises(Rejected, match="too_slow"):
            await Reencode(timeout=timedelta(seconds=0.5)).convert(b"", media_type="image/png")

    assert children() == set()


def test_a_process_whose_service_is_gone_ends_by_itself(tmp_path):
    from roadworthy.uploads import pixels

    endless = tmp_path / "endless.py"
    endless.write_text(
        "import sys\n"
        f"sys.path.append({str(Path(pixels.__file__).parent)!r})\n"
        "import pixels\n"
        "pixels._limit(2**29, 1)\n"
        "while True: pass\n"
    )

    done = subprocess.run([sys.executable, "-P", str(endless)], check=False, timeout=30)

    assert done.returncode in {-signal.SIGXCPU, -signal.SIGKILL}


async def test_an_image_whose_process_crashes_is_rejected(monkeypatch, tmp_path):
    from roadworthy.uploads import pixels

    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setattr(pixels, "__file__", str(crashing))

    with pytest.raises(Rejected, match="broken_image"):
        await Reencode().convert(bytes(MIB), media_type="image/png")


async def test_an_image_that_becomes_too_large_is_rejected():
    noise = file_of(Image.effect_noise((400, 400), 100), "WEBP", quality=1)

    with pytest.raises(Rejected, match="too_large"):
        await Reencode(max_bytes=10_000).convert(noise, media_type="image/webp")
    assert children() == set()


async def test_a_request_that_is_cancelled_leaves_no_process():
    work = asyncio.create_task(Reencode().convert(slow_png(), media_type="image/png"))
    while not children():  # noqa: ASYNC110 - the kernel sends no event
        await asyncio.sleep(0.001)

    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert children() == set()


async def test_a_request_that_is_cancelled_without_end_leaves_no_process():
    image = slow_png()
    with CancelScope() as scope:
        asyncio.get_running_loop().call_later(0.5, scope.cancel)
        await Reencode().convert(image, media_type="image/png")

    assert scope.cancelled_caught
    assert children() == set()


async def test_no_more_run_at_once_than_allowed_and_who_waits_too_long_is_told():
    converter = Reencode(at_once=1, timeout=timedelta(seconds=5))
    most, done = 0, False

    async def watch() -> None:
        nonlocal most
        while not done:
            most = max(most, len(children()))
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    await asyncio.gather(
        *(converter.convert(file_of(half_and_half()), media_type="image/png") for _ in range(4))
    )
    done = True
    await watching

    hurried = Reencode(at_once=1, timeout=timedelta(milliseconds=200))
    outcomes = await asyncio.gather(
        *(hurried.convert(slow_png(), media_type="image/png") for _ in range(8)),
        return_exceptions=True,
    )
    assert most == 1
    assert any(isinstance(outcome, ServiceUnavailable) for outcome in outcomes)
    assert all(isinstance(outcome, ServiceUnavailable | Rejected) for outcome in outcomes)


async def test_the_process_can_open_nothing_and_knows_no_secret(monkeypatch, tmp_path):
    from roadworthy.uploads import pixels

    script = tmp_path / "looking.py"
    script.write_text(
        "import os, socket, sys\n"
        f"sys.path.append({str(Path(pixels.__file__).parent)!r})\n"
        "import pixels\n"
        "pixels._limit(2**29, 5)\n"
        "found = [name for name in os.environ if 'SECRET' in name]\n"
        "for attempt in (lambda: open('/etc/passwd'), socket.socket):\n"
        "    try: found.append(str(attempt()))\n"
        "    except OSError: pass\n"
        "print(found, end='')\n"
    )
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setattr(pixels, "__file__", str(script))

    made = await Reencode().convert(b"", media_type="image/png")

    assert made.data == b"[]"


async def test_a_thumbnail_can_be_made_by_a_job_in_its_process():
    processes = Processes(1)
    data = file_of(half_and_half((640, 320)))
    try:
        made = await processes.run(partial(thumbnail, data, max_side=64))
        with pytest.raises(Rejected, match="too_many_pixels"):
            await processes.run(partial(thumbnail, png(13_000, 13_000)))
    finally:
        await processes.close()

    assert opened(made).size == (64, 32)


def test_a_rejection_travels_by_pickle():
    rejected = pickle.loads(pickle.dumps(Rejected("too_slow", "It is slow.")))

    assert (rejected.reason, rejected.message) == ("too_slow", "It is slow.")
    assert str(rejected) == "too_slow: It is slow."


def test_the_absence_of_pillow_says_what_to_install():
    code = "import sys; sys.modules['PIL'] = None; import roadworthy.uploads.images"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'roadworthy[images]'" in done.stderr


@pytest.fixture(autouse=True)
def _servers_of_other_tests(monkeypatch):
    """Servers that other tests share are children too, and not what is looked for here."""
    monkeypatch.setattr(sys.modules[__name__], "others", every_child())


others: set[int] = set()


def children() -> set[int]:
    """The processes that the test has started and not seen end."""
    return every_child() - others


def every_child() -> set[int]:
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return {int(number) for number in found}


def slow_png() -> bytes:
    """An image that takes some seconds to decode and to write anew."""
    return png(6000, 6000, bytes(6000 * 18_001))
