"""`Check` and `Conversion`: steps of your own before a file is stored.

An inspector judges a file by itself, in memory. A check may ask another service while the bytes
stream, such as the virus scanner of `roadworthy.uploads.scan`. A conversion makes another file
of the one that was sent, such as the re-encoded images of `roadworthy.uploads.images`.
Implement either protocol for other needs:

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
    """The check of one file. Every `await` of an implementation needs a deadline."""

    async def feed(self, batch: Batch, /) -> None:
        """Check the next bytes, and keep no reference to them: their memory is reused.

        Raises:
            Rejected: The file is dangerous (422).
            Problem: No verdict is possible: `ServiceUnavailable` (503) if the scanner is away.
        """
        ...

    async def finish(self) -> None:
        """Return if the whole file may be stored.

        Raises:
            Rejected: The file is dangerous (422).
            Problem: No verdict is possible.
        """
        ...


class Check(Protocol):
    """Checks files while they stream; listed in `Upload(checks=...)`."""

    def open(self, *, media_type: str) -> AbstractAsyncContextManager[Scan]:
        """Begin to check a file, whose bytes are of this media type."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """The file that a conversion made, stored in place of the one that was sent."""

    data: bytes
    media_type: str
    extension: str
    """The end of its name, with the dot."""


class Conversion(Protocol):
    """Makes another file of one that was sent; for `Upload(conversions=...)`, by type."""

    async def convert(self, data: bytes, *, media_type: str) -> Converted:
        """Return the file to store in place of the one that was sent, which is in memory.

        Raises:
            Rejected: The file cannot be converted (422).
            Problem: The file cannot be converted now: `ServiceUnavailable` (503).
        """
        ...
