"""Results that the workers of one server share, so that one of them runs a check.

No worker leads. A worker that finds no fresh result takes the lock of the check, runs the check and
writes the result. A worker that finds the lock taken waits for that result, at most for the time
that a check may take. The lock is a file lock, which ends with its process.
"""

import asyncio
import json
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

from roadworthy._internal.workers import Workers, lock, unlock
from roadworthy.health.check import CheckResult

__all__ = ["SharedFile", "SharedResult", "SharedResults"]

log = logging.getLogger("roadworthy.health")

_LOCK_SECONDS: Final = 1.0
_PAUSE: Final = 0.02
"""Seconds between two looks for the result of another worker."""


@dataclass(frozen=True, slots=True)
class SharedResult:
    """A result of a worker, with its time on the clock that all workers share."""

    result: CheckResult
    at: float


class SharedResults:
    """The folder in which the workers of one server keep the results of their checks.

    Args:
        purpose: What tells one `Health` of a server from another; the same in all workers.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._workers: Workers | None = None
        self._files: list[SharedFile] = []

    def open(self) -> Self:
        """Join the other workers, if there are any."""
        try:
            workers = Workers.of_this_process(self._purpose)
            if workers is not None:
                workers.join(seconds=_LOCK_SECONDS)
            self._workers = workers
        except OSError as error:
            log.warning("each worker runs all checks by itself: %s", error)
        return self

    def file(self, name: str) -> "SharedFile | None":
        """Return the file of a check's results; None if there is only one worker."""
        if self._workers is None:
            return None
        made = SharedFile(self._workers.folder / sha256(name.encode()).hexdigest()[:16])
        self._files.append(made)
        return made

    def close(self) -> None:
        """Leave the other workers."""
        for file in self._files:
            file.close()
        self._files.clear()
        workers, self._workers = self._workers, None
        if workers is not None:
            # Files that stay here are removed at the next start.
            with suppress(OSError), workers.alone(seconds=_LOCK_SECONDS):
                workers.leave()


class SharedFile:
    """The last result of one check, and the lock of the worker that runs it next.

    The files are small and in the folder for temporary files, so they are read without a thread,
    which might not be available when it matters.

    Args:
        path: The file of the result; the lock is a second file beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Kept open: closing it would end the lock.
        self._turn = os.open(path.with_suffix(".turn"), os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> SharedResult | None:
        """Return the last result of any worker."""
        try:
            found: Any = json.loads(self._path.read_bytes())
            known: dict[str, Any] = found["result"]
            known["at"] = datetime.fromisoformat(known["at"])
            return SharedResult(CheckResult(**known), found["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, result: CheckResult) -> SharedResult:
        """Write a result for the other workers."""
        shared = SharedResult(result, monotonic())
        known = {
            "status": result.status,
            "at": result.at.isoformat(),
            "seconds": result.seconds,
            "reason": result.reason,
        }
        new = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):  # then the others run the check by themselves
            new.write_text(json.dumps({"result": known, "at": shared.at}))
            new.replace(self._path)
        return shared

    @contextmanager
    def turn(self) -> Generator[bool]:
        """Take the lock if it is free, and yield whether that worked."""
        ours = lock(self._turn)
        try:
            yield ours
        finally:
            if ours:
                unlock(self._turn)

    async def wait(self, *, since: float, within: float) -> SharedResult | None:
        """Wait for a result made after `since`, for at most `within` seconds.

        Return None if the holder of the lock releases it without a result.
        """
        deadline = monotonic() + within
        while monotonic() < deadline:
            found = self.read()
            if found is not None and found.at > since:
                return found
            if lock(self._turn):
                unlock(self._turn)
                return None
            await asyncio.sleep(_PAUSE)
        return None

    def close(self) -> None:
        """Close the lock file, which ends the lock."""
        os.close(self._turn)
