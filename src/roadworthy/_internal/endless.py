"""Responses without an end, by their media type."""

from collections.abc import Iterable
from typing import Final

__all__ = ["is_endless"]

_MEDIA_TYPES: Final = frozenset(
    {b"text/event-stream", b"application/jsonl", b"application/x-ndjson"}
)
"""Media types whose clients connect again where the body ends between two messages."""


def is_endless(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether the headers of a response announce a body without an end."""
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0] in _MEDIA_TYPES
    return False
