"""Decode and re-encode an image, in a process that `Reencode` starts.

The file imports Pillow and the standard library and nothing of this package, so that the
process starts in a tenth of a second.
"""

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

try:
    from PIL import Image, ImageCms
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "roadworthy.uploads.images needs Pillow: pip install 'roadworthy[images]'"
    ) from missing

__all__ = ["MAX_PIXELS", "Unfit", "main", "reencode"]

MAX_PIXELS: Final = 50_000_000
"""The largest images of cameras; decoded, that is 200 MB of memory."""
UNFIT: Final = 3
"""The exit status for an image that cannot be decoded; the output says why."""

_LARGEST_SIDE: Final = 65_535
_SIXTEEN_BITS: Final = ("I;16", "I;16L", "I;16B", "I;16N")
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The turn that makes an image upright, by its EXIF orientation."""


class Unfit(Exception):
    """The image cannot be decoded within the limits."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason, self.message = reason, message


def reencode(
    data: bytes,
    *,
    opened: list[str],
    saved_as: str,
    save_options: Mapping[str, Any],
    max_side: int | None,
    max_pixels: int,
) -> bytes:
    """Return the first frame of an image, written anew.

    Args:
        data: The image.
        opened: The formats that may be decoded, by Pillow's names.
        saved_as: The format that is written, by Pillow's name.
        save_options: Pillow's options for writing it.
        max_side: Pixels of the longer side; larger images are made smaller.
        max_pixels: Pixels that the image may have before that.

    Raises:
        Unfit: The image cannot be decoded, or has more pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=opened) as image:
            _refuse_large(image, max_pixels)
            return _saved(_drawn(image, max_side), saved_as, save_options)
    except (Unfit, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:  # decoders raise anything, depending on their input
        raise Unfit("broken_image", "The image cannot be decoded.") from error


def _refuse_large(image: Image.Image, max_pixels: int) -> None:
    """Check the number of pixels by the header, before decoding: Pillow only warns."""
    width, height = image.size
    if width * height > max_pixels or max(width, height) > _LARGEST_SIDE:
        raise _too_large()


def _too_large() -> Unfit:
    return Unfit("too_many_pixels", "The image has too many pixels.")


def _drawn(image: Image.Image, max_side: int | None) -> Image.Image:
    """Return the first frame upright, in 8-bit sRGB, without metadata."""
    if max_side is not None:  # JPEG can be decoded at a smaller size
        image.draft(None, (2 * max_side, 2 * max_side))
    image.load()
    profile, turn = image.info.get("icc_profile"), _TURNS.get(_orientation(image))
    drawn = _eight_bits(image, cmyk=bool(profile))
    if max_side is not None:
        drawn.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    drawn = _in_srgb(drawn, profile)
    drawn = drawn if turn is None else drawn.transpose(turn)
    drawn.info.clear()
    return drawn


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(0x0112)
    except Exception:  # broken metadata is no reason to refuse an image
        return None


def _eight_bits(image: Image.Image, *, cmyk: bool) -> Image.Image:
    if image.mode in _SIXTEEN_BITS:
        darker: Image.Image = cast("Any", image).point(_darker)
        return darker.convert("L")
    if image.mode == "RGBA":
        return image  # a conversion would hold the pixels twice
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in {"L", "RGB"} or (cmyk and image.mode == "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _darker(value: Any) -> Any:
    # Pillow calls this once with an object of its own, to learn the factor.
    return value * (1 / 256)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours by the image's profile; a broken profile is ignored."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    made = None
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = cast("Any", ImageCms).createProfile("sRGB")
            made = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    if made is None and image.mode == "CMYK":
        return image.convert("RGB")
    return made or image


def _saved(image: Image.Image, name: str, options: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def main() -> int:
    """Re-encode the image on stdin as the first argument says, within its limits."""
    task = json.loads(sys.argv[1])
    _import_late_modules(task["plugins"])
    _limit(task["max_memory"], task["seconds"])
    try:
        made = reencode(sys.stdin.buffer.read(), **task["options"])
    except Unfit as unfit:
        return _tell_why(unfit.reason, unfit.message)
    except MemoryError:
        return _tell_why("too_much_memory", "The image takes too much memory to decode.")
    sys.stdout.buffer.write(made)
    sys.stdout.buffer.flush()
    return 0


def _import_late_modules(plugins: Sequence[str]) -> None:
    # Pillow imports modules on demand, and below no file can be opened any more.
    Image.preinit()
    for name in ("copy", *plugins):
        importlib.import_module(name)


def _tell_why(*why: str) -> int:
    sys.stdout.write(json.dumps(why))
    return UNFIT


def _limit(max_memory: int, seconds: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ModuleNotFoundError:
        return
    limits = [
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_DATA, max_memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),  # no file, and no socket
    ]
    for limit, most in limits:
        hard = resource.getrlimit(limit)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (least, least))


if __name__ == "__main__":
    sys.exit(main())
