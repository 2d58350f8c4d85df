"""`Pixels`: how large an image may be, judged by what its headers say."""

from dataclasses import dataclass
from typing import Final

from roadworthy.uploads.types.filetype import Rejected
from roadworthy.uploads.types.reasons import MALFORMED, TOO_MANY_FRAMES, TOO_MANY_PIXELS

__all__ = ["MAX_FRAMES", "MAX_PIXELS", "Pixels"]

MAX_PIXELS: Final = 64_000_000
"""What the sensors of most telephones make; decoded, 256 MB at most."""
MAX_FRAMES: Final = 2_000
"""A minute of animation, and more."""
_MAX_ANIMATION: Final = 8
"""All frames together may have so many times the pixels of one image."""


@dataclass(slots=True)
class Pixels:
    """Count what a decoder would have to hold."""

    max_pixels: int
    max_frames: int
    frames: int = 0
    drawn: int = 0

    def canvas(self, width: int, height: int) -> None:
        """Take the size of the image.

        Raises:
            Rejected: It has no size, or too large a one.
        """
        if width < 1 or height < 1:
            raise Rejected(MALFORMED, "The image has no size.")
        if width * height > self.max_pixels:
            raise Rejected(TOO_MANY_PIXELS, f"The image has more than {self.max_pixels} pixels.")

    def frame(self, width: int, height: int) -> None:
        """Take the size of one frame of an animation.

        Raises:
            Rejected: There are too many, or they are too large together.
        """
        self.canvas(width, height)
        self.frames += 1
        self.drawn += width * height
        if self.frames > self.max_frames:
            raise Rejected(TOO_MANY_FRAMES, f"The image has more than {self.max_frames} frames.")
        if self.drawn > self.max_pixels * _MAX_ANIMATION:
            raise Rejected(TOO_MANY_PIXELS, "The frames of the image have too many pixels.")
