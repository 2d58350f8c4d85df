"""`UploadLocks`: one request at a time works on an upload: the latest."""

import asyncio
import time
from types import TracebackType
from typing import Final, Self

from roadworthy.uploads.resumable.errors import UploadBusy

__all__ = ["UploadLock", "UploadLocks"]

_PATIENCE: Final = 10.0
"""Seconds to wait for a request that cannot stop, because it is making the file."""


class UploadLock:
    """The lock of one upload, held until `done` or the end of its context."""

    def __init__(self, locks: "UploadLocks", upload_id: str) -> None:
        self._wanted_at: float | None = None
        self.over = asyncio.Event()
        self._locks, self._upload_id = locks, upload_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.done()

    def want(self) -> None:
        """Ask the holder to release the lock."""
        if self._wanted_at is None:
            self._wanted_at = time.monotonic()

    def is_wanted(self, *, for_seconds: float = 0) -> bool:
        """Return whether another request has waited so long for the lock."""
        return self._wanted_at is not None and time.monotonic() - self._wanted_at >= for_seconds

    def done(self) -> None:
        """Release the lock; a second call does nothing."""
        if not self.over.is_set():
            self.over.set()
            self._locks.end(self._upload_id)


class UploadLocks:
    """A lock for each upload, in this process.

    When a client reconnects, the server may still wait for bytes on its dead connection. The
    request there stops as soon as the new one asks for the lock. Between processes there is no
    lock: the first of them to store a piece at an offset goes on.
    """

    def __init__(self) -> None:
        self._current: dict[str, UploadLock] = {}

    def busy(self, upload_id: str) -> bool:
        """Return whether a request holds the lock of an upload."""
        return upload_id in self._current

    async def take(self, upload_id: str) -> UploadLock:
        """Wait for the lock of an upload, and return its holder.

        Raises:
            UploadBusy: 423. The request before does not end.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                while current := self._current.get(upload_id):
                    current.want()
                    await current.over.wait()
        except TimeoutError as late:
            raise UploadBusy from late
        holder = self._current[upload_id] = UploadLock(self, upload_id)
        return holder

    def end(self, upload_id: str) -> None:
        """Remove the holder of an upload's lock."""
        del self._current[upload_id]
