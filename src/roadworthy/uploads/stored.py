"""`Stored`: a file that was received, judged and stored, as a value."""

from dataclasses import dataclass
from typing import Final

__all__ = ["GiB", "KiB", "MiB", "Stored"]

KiB: Final = 1024
"""Bytes."""
MiB: Final = 1024 * KiB
"""Bytes."""
GiB: Final = 1024 * MiB
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the store: keep it in your row, or give it to a job by value.

    It becomes visible with the row that names its key: nothing else does. Where the
    request is refused after all, the file is removed; where it fails, the sweep does that.
    """

    key: str
    """Where the store has it: made by the server, never from anything that a client sent."""
    filename: str
    """What the client calls it, for display only: no path, no control characters, capped."""
    media_type: str
    """What its bytes are, whatever the client declared."""
    size_bytes: int
    sha256: str
    """In hex, of the bytes as they are stored."""
