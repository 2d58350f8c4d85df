"""Results that the workers of one server share, so that one of them runs a check.

No worker leads. One that finds no fresh result takes the turn of that check, runs it and
writes the result; one that finds the turn taken waits for that result. The turn is a file
lock that ends with its process, and nobody waits for longer than a check may take.
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
    """A result of some worker, and when it was made, on the clock that all workers have."""

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
        """Join the other workers, where there are any."""
        try:
            workers = Workers.of_this_process(self._purpose)
            if workers is not None:
                workers.join(seconds=_LOCK_SECONDS)
            self._workers = workers
        except OSError as error:
            log.warning("each worker runs all checks by itself: %s", error)
        return self

    def file(self, name: str) -> "SharedFile | None":
        """Return the file of the results of a check; None where there is one worker."""
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

    Files are small and in the folder for temporary files: reading one takes no thread,
    which might not be had when it matters.

    Args:
        path: The file of the result; the lock is a second file beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Kept open: to close it would end the lock.
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
        """Take the lock if it is free, and yield whether it is ours."""
        ours = lock(self._turn)
        try:
            yield ours
        finally:
            if ours:
                unlock(self._turn)

    async def wait(self, *, since: float, within: float) -> SharedResult | None:
        """Wait for a result made after `since`, for at most `within` seconds.

        It is None where the holder of the lock gives that up without a result.
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
