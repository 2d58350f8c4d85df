"""`Check` and `Conversion`: what else happens to a file before it is kept.

An inspector judges by itself, in memory. A check asks somebody else while the bytes pass:
a scanner, as `roadworthy.uploads.scan` does. A conversion makes another file of it, as
`roadworthy.uploads.images` does. Implement them for whatever else there is:

    class NotSeenBefore:
        @asynccontextmanager
        async def open(self, *, media_type: str) -> AsyncIterator[Scan]:
            yield Seen(sha256())
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from roadworthy.uploads.store import Batch

__all__ = ["Check", "Conversion", "Converted", "Scan"]


class Scan(Protocol):
    """The look of one check at one file. Every `await` in it has a deadline."""

    async def feed(self, batch: Batch, /) -> None:
        """Take the next bytes; their memory is the caller's again once this returns.

        Raises:
            Rejected: The file is dangerous (422).
            Problem: It cannot be told: `ServiceUnavailable` (503) where the scanner is away.
        """
        ...

    async def finish(self) -> None:
        """Take note that there are no more bytes, and return where the file may be kept.

        Raises:
            Rejected: The file is dangerous (422).
            Problem: It cannot be told.
        """
        ...


class Check(Protocol):
    """Look at files while they pass: what `Upload(checks=...)` lists."""

    def open(self, *, media_type: str) -> AbstractAsyncContextManager[Scan]:
        """Begin with one file, of this type by its bytes; leaving lets go of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """A file that a conversion made: it is stored in the place of what was sent."""

    data: bytes
    media_type: str
    extension: str
    """What its name ends in, with the dot."""


class Conversion(Protocol):
    """Make another file of one: what `Upload(conversions=...)` has for some types."""

    async def convert(self, data: bytes, *, media_type: str) -> Converted:
        """Return what is stored instead of a file, which is in memory as a whole.

        Raises:
            Rejected: It cannot be converted (422): its fault, not ours.
            Problem: It cannot be converted now: `ServiceUnavailable` (503).
        """
        ...
