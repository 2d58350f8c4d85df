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
"""What telephones call 50 megapixels: 200 MB in memory."""
MAX_SIDE: Final = 65_535
"""The most that JPEG and GIF can have."""
MAX_FRAMES: Final = 2_000
"""Over a minute at 30 frames a second."""

_ANIMATED: Final = 20
"""How many times `max_pixels` all frames may have together."""


class PixelBudget:
    """Count pixels and frames by what headers say, before anything is decoded."""

    def __init__(self, *, max_pixels: int, max_side: int, max_frames: int = MAX_FRAMES) -> None:
        self._max_pixels, self._max_side, self._max_frames = max_pixels, max_side, max_frames
        self._frames = self._drawn = 0

    def image(self, width: int, height: int) -> None:
        """Check the size of an image.

        Raises:
            Rejected: It is too large, or has no pixels.
        """
        if not width or not height:
            raise Rejected(MALFORMED, "The image has no pixels.")
        if width * height > self._max_pixels or max(width, height) > self._max_side:
            raise Rejected(TOO_MANY_PIXELS, "The image has too many pixels.")

    def frame(self, width: int, height: int) -> None:
        """Count one frame of an animation.

        Raises:
            Rejected: It is one too many, or all together are too large.
        """
        self.image(width, height)
        self._frames += 1
        self._drawn += width * height
        if self._frames > self._max_frames:
            raise Rejected(TOO_MANY_FRAMES, "The image has too many frames.")
        if self._drawn > _ANIMATED * self._max_pixels:
            raise Rejected(TOO_MANY_PIXELS, "The frames of the image have too many pixels.")
