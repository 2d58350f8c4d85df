"""`PixelBudget`: limits of pixels and frames, by what the headers of an image say."""

from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    MALFORMED,
    TOO_MANY_FRAMES,
    TOO_MANY_PIXELS,
)

__all__ = ["MAX_FRAMES", "MAX_PIXELS", "MAX_SIDE", "PixelBudget"]

MAX_PIXELS: Final = 8192 * 6144
"""50 megapixels, as telephones have; decoded, that is 200 MB of memory."""
MAX_SIDE: Final = 65_535
"""The longest side that JPEG and GIF can have."""
MAX_FRAMES: Final = 2_000
"""Over a minute at 30 frames a second."""

_ANIMATED: Final = 20
"""How many times `max_pixels` all frames together may have."""


class PixelBudget:
    """Count pixels and frames by the headers, before anything is decoded."""

    def __init__(self, *, max_pixels: int, max_side: int, max_frames: int = MAX_FRAMES) -> None:
        self._max_pixels, self._max_side, self._max_frames = max_pixels, max_side, max_frames
        self._frames = self._drawn = 0

    def image(self, width: int, height: int) -> None:
        """Check the size of an image.

        Raises:
            Rejected: The image is too large, or has no pixels.
        """
        if not width or not height:
            raise Rejected(MALFORMED, "The image has no pixels.")
        if width * height > self._max_pixels or max(width, height) > self._max_side:
            raise Rejected(TOO_MANY_PIXELS, "The image has too many pixels.")

    def frame(self, width: int, height: int) -> None:
        """Count one frame of an animation.

        Raises:
            Rejected: There are too many frames, or too many pixels in all of them.
        """
        self.image(width, height)
        self._frames += 1
        self._drawn += width * height
        if self._frames > self._max_frames:
            raise Rejected(TOO_MANY_FRAMES, "The image has too many frames.")
        if self._drawn > _ANIMATED * self._max_pixels:
            raise Rejected(TOO_MANY_PIXELS, "The frames of the image have too many pixels.")
