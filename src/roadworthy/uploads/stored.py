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
    """A file in the store: keep the value in a row, or pass it to a job.

    The file becomes visible with the row that names its key, and in no other way. If the request
    is refused in the end, the file is removed; if it fails, `Files.sweep` removes the file.
    """

    key: str
    """The file's key in the store, made by the server of nothing that a client sent."""
    filename: str
    """The client's name of the file, for display only: no path, no control characters, cut."""
    media_type: str
    """The media type by the bytes, whatever the client declared."""
    size_bytes: int
    sha256: str
    """The SHA-256 of the stored bytes, in hex."""
