"""`Store`: what keeps files. Implement it for a place that is not among ours.

`roadworthy.testing.contract.StoreContract` has the tests that a store has to pass.
A key is 1 to 200 characters of `[a-z0-9/._-]`, made by the server, with no `.` or `..` segment.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, TypeAlias

from roadworthy.uploads.types.inspecting.filetype import Data

__all__ = ["Batch", "Entry", "FileMissing", "Judge", "Presigned", "Presigning", "Reading", "Store"]
__all__ += ["Writing"]

Batch: TypeAlias = Sequence[Data]
"""Consecutive pieces of one file."""
Judge: TypeAlias = Callable[[Batch], object]
"""What looks at a batch before it is written; what it raises ends the writing."""


class FileMissing(LookupError):
    """The store has no file under this key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the store lists it."""

    key: str
    size_bytes: int
    modified_at: datetime


class Writing(Protocol):
    """A file on its way into the store: its key has nothing before `commit`."""

    async def __aenter__(self) -> "Writing": ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing behind unless it was committed, cancellation included."""
        ...

    async def write(self, batch: Batch, judge: Judge, /) -> None:
        """Call `judge(batch)` in a thread, then append the batch: in one hop at best.

        The batch's memory is the caller's again once this returns.

        Raises:
            OSError: With `errno.ENOSPC` or `EDQUOT` where the store is full.
        """
        ...

    async def commit(self) -> None:
        """Put the whole file under its key, durably: it is there after a power failure.

        Raises:
            FileExistsError: There is a file under that key already; it stays as it is.
        """
        ...


class Reading(Protocol):
    """A file that is read; deleted meanwhile, it stays readable or fails loudly."""

    size_bytes: int
    modified_at: datetime

    async def __aenter__(self) -> "Reading": ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, in pieces."""
        ...


class Store(Protocol):
    """Keep files under keys. It is entered once, and used by many tasks at a time."""

    async def __aenter__(self) -> "Store": ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def writing(self, key: str, *, media_type: str, content_disposition: str) -> Writing:
        """Begin a file; nothing happens before it is entered.

        A store that serves files by itself serves it under these two headers.
        """
        ...

    def reading(self, key: str) -> Reading:
        """Read a file; entering raises `FileMissing` where there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a file; that there is none is no error."""
        ...

    def entries(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Yield the files whose keys start with `prefix`, in no particular order."""
        ...

    async def sweep_unfinished(self, *, older_than: timedelta) -> int:
        """Remove what writings of killed processes left, and return how many there were.

        What a living process is writing stays, however old it is, where the store can
        tell; where it cannot, `older_than` decides.
        """
        ...


@dataclass(frozen=True, slots=True)
class Presigned:
    """A request that somebody else may make of the store, until it expires."""

    method: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


class Presigning(Store, Protocol):
    """A store that lets clients read and write by themselves for a while."""

    async def presign_put(self, key: str, *, media_type: str, expires: timedelta) -> Presigned:
        """Let whoever has the answer write this key."""
        ...

    async def presign_get(self, key: str, *, expires: timedelta) -> Presigned:
        """Let whoever has the answer read this key."""
        ...
