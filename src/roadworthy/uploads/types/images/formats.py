"""The image formats, one row each: names, first bytes, and re-encoding.

To take a new format: write its row here and add it to `ACCEPTED`, write its inspector beside
`png.py`, and export that in `roadworthy/uploads/types/__init__.py`. Downloads, conversions,
thumbnails, drawings and messages read the rows. Thumbnails and re-encoding need a format that
Pillow decodes; one that browsers do not show has to be left out of `SHOWN`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = [
    "ACCEPTED",
    "AVIF",
    "DATA_URL_TYPES",
    "GIF",
    "JPEG",
    "PNG",
    "SHOWN",
    "WEBP",
    "ImageFormat",
    "by_media_type",
]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """An image format: all that the library knows of it but its structure."""

    media_type: str
    extension: str
    """The file extension, with the dot."""
    pillow: str
    """The name of the format in Pillow."""
    begins: bytes
    """A regular expression of the first bytes."""
    aliases: tuple[str, ...] = ()
    """Other media types that clients declare for the format."""
    saved_as: str = ""
    """Pillow's name of the format to re-encode to, if that is another one."""
    save_options: Mapping[str, object] = field(default_factory=dict[str, object])
    """Pillow's options for writing the format."""
    plugins: tuple[str, ...] = ()
    """Modules that Pillow would import too late, when the process may open no more files."""


PNG: Final = ImageFormat(
    "image/png",
    ".png",
    "PNG",
    rb"\x89PNG\r\n\x1a\n",
    aliases=("image/apng", "image/vnd.mozilla.apng", "image/x-png"),
    save_options={"optimize": False},
)
"""PNG and APNG."""
JPEG: Final = ImageFormat(
    "image/jpeg",
    ".jpg",
    "JPEG",
    rb"\xff\xd8\xff",
    aliases=("image/jpg", "image/pjpeg"),
    save_options={"quality": 90},
    plugins=("PIL.MpoImagePlugin", "PIL.TiffImagePlugin"),
)
"""JPEG, with several images in one file (MPF) too."""
GIF: Final = ImageFormat("image/gif", ".gif", "GIF", rb"GIF8[79]a", saved_as="PNG")
"""GIF, re-encoded as a PNG of its first frame."""
WEBP: Final = ImageFormat(
    "image/webp",
    ".webp",
    "WEBP",
    rb"RIFF.{4}WEBP",
    save_options={"quality": 90},
    plugins=("PIL.WebPImagePlugin",),
)
"""WebP."""
AVIF: Final = ImageFormat("image/avif", ".avif", "AVIF", rb".{4}ftypavi[fs]")
"""AVIF: shown by browsers and made into thumbnails, but no accepted type."""

ACCEPTED: Final = (PNG, JPEG, GIF, WEBP)
"""The formats that have an inspector, and so a `FileType`."""
SHOWN: Final = (*ACCEPTED, AVIF)
"""The formats that browsers show, and that thumbnails are made of."""
DATA_URL_TYPES: Final = (*(one.media_type for one in ACCEPTED), "image/jpg")
"""The media types of pictures that a drawing may hold as `data:` URLs."""


def by_media_type(media_type: str) -> ImageFormat | None:
    """Return the accepted format of this media type, None for any other type."""
    return next((one for one in ACCEPTED if one.media_type == media_type), None)
