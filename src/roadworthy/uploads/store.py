"""`Store`: the protocol of file stores. Implement it for a store of your own.

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
"""Checks a batch before it is written; an exception ends the writing."""


class FileMissing(LookupError):
    """The store has no file under this key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the listing of a store."""

    key: str
    size_bytes: int
    modified_at: datetime


class Writing(Protocol):
    """A file that is being written: nothing is under its key before `commit`."""

    async def __aenter__(self) -> "Writing": ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Discard the file unless it was committed, also on cancellation."""
        ...

    async def write(self, batch: Batch, judge: Judge, /) -> None:
        """Call `judge(batch)` in a thread, then append the batch, best in the same thread.

        Keep no reference to the batch after this returns: its memory is reused.

        Raises:
            OSError: The store is full: with `errno.ENOSPC` or `EDQUOT`.
        """
        ...

    async def commit(self) -> None:
        """Put the whole file under its key, durably: it survives a power failure.

        Raises:
            FileExistsError: There is a file under that key already, which stays as it is.
        """
        ...


class Reading(Protocol):
    """An open file. After it was deleted, reads go on or raise, and never end early."""

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
        """Yield the bytes from `start` up to, but not including, `end`, in pieces."""
        ...


class Store(Protocol):
    """Store files under keys; entered once, and used by many tasks at a time."""

    async def __aenter__(self) -> "Store": ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def writing(self, key: str, *, media_type: str, content_disposition: str) -> Writing:
        """Return a new file to write; nothing happens before the file is entered.

        A store that serves files by itself sends these two headers with the file.
        """
        ...

    def reading(self, key: str) -> Reading:
        """Return a file to read; entering a missing file raises `FileMissing`."""
        ...

    async def delete(self, key: str) -> None:
        """Delete a file. A missing file is no error."""
        ...

    def entries(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Yield the files whose keys start with `prefix`, in no particular order."""
        ...

    async def sweep_unfinished(self, *, older_than: timedelta) -> int:
        """Delete unfinished files of killed processes, and return their number.

        Files that a living process is writing stay, however old they are, if the store can
        tell them apart. If it cannot, `older_than` decides.
        """
        ...


@dataclass(frozen=True, slots=True)
class Presigned:
    """A request that a client may send to the store, until the request expires."""

    method: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


class Presigning(Store, Protocol):
    """A store that presigns requests, which clients then send to the store directly."""

    async def presign_put(self, key: str, *, media_type: str, expires: timedelta) -> Presigned:
        """Return a request that writes a file under this key."""
        ...

    async def presign_get(self, key: str, *, expires: timedelta) -> Presigned:
        """Return a request that reads the file under this key."""
        ...
