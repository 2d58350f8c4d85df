"""`Check` and `Conversion`: what else is done with a file before it is stored.

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
    """One check of one file. Every `await` in it has a deadline."""

    async def feed(self, batch: Batch, /) -> None:
        """Check the next bytes; their memory is the caller's again once this returns.

        Raises:
            Rejected: The file is dangerous (422).
            Problem: It cannot be told: `ServiceUnavailable` (503) where the scanner is away.
        """
        ...

    async def finish(self) -> None:
        """Return where the whole file may be stored.

        Raises:
            Rejected: The file is dangerous (422).
            Problem: It cannot be told.
        """
        ...


class Check(Protocol):
    """A check of files while they stream: what `Upload(checks=...)` lists."""

    def open(self, *, media_type: str) -> AbstractAsyncContextManager[Scan]:
        """Begin to check one file, of this type by its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """The file that a conversion made: it is stored in place of the sent one."""

    data: bytes
    media_type: str
    extension: str
    """What its name ends in, with the dot."""


class Conversion(Protocol):
    """Makes another file of a sent one: what `Upload(conversions=...)` has by type."""

    async def convert(self, data: bytes, *, media_type: str) -> Converted:
        """Return the file to store instead of one that is whole in memory.

        Raises:
            Rejected: It cannot be converted (422): its fault, not ours.
            Problem: It cannot be converted now: `ServiceUnavailable` (503).
        """
        ...
