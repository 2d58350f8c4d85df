"""Draw a document small, as a PNG.

This runs in a process of its own, which imports what is imported here: no database.
"""

from io import BytesIO
from typing import Any, Final

import pypdfium2  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs]

from roadworthy.uploads.images import thumbnail
from roadworthy.uploads.types.inspecting.filetype import Rejected

__all__ = ["CannotDraw", "draw"]

SIDE: Final = 256
"""Pixels of the longer side."""


class CannotDraw(Exception):
    """The document cannot be drawn, however often it is tried."""


def draw(data: bytes, media_type: str) -> bytes:
    """Return a PNG of an image, or of the first page of a PDF, at most `SIDE` pixels large.

    Raises:
        CannotDraw: It is broken in a way that only shows when it is drawn.
    """
    if media_type == "application/pdf":
        return _first_page(data)
    try:
        return thumbnail(data, max_side=SIDE)
    except Rejected as error:
        raise CannotDraw(error.reason) from error


def _first_page(data: bytes) -> bytes:
    try:
        page: Any = pypdfium2.PdfDocument(data)[0]  # the library has no types
        width, height = page.get_size()
        scale = SIDE / max(width, height)
        image = page.render(scale=scale, may_draw_forms=False).to_pil()
    except (pypdfium2.PdfiumError, IndexError, ValueError, ZeroDivisionError) as error:
        raise CannotDraw("the first page cannot be drawn") from error
    file = BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
