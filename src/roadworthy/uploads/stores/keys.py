"""The form of keys that every store can keep."""

import re
from typing import Final

__all__ = ["is_key", "segments_of"]

_KEY: Final = re.compile(r"[a-z0-9/._-]{1,200}")


def is_key(text: str) -> bool:
    """Return whether every store takes this key."""
    segments = text.split("/")
    return bool(_KEY.fullmatch(text)) and {"", ".", ".."}.isdisjoint(segments)


def segments_of(key: str) -> list[str]:
    """Return the segments of a key, between its slashes.

    Raises:
        ValueError: The text is no key.
    """
    if not is_key(key):
        raise ValueError(
            f"{key!r} is no key. Take 1 to 200 characters of a-z 0-9 . _ - in segments with / "
            "between them, none of which is empty, . or .."
        )
    return key.split("/")
