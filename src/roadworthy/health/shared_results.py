"""One worker of a server asks, and the others hear of it.

Nobody leads. Who finds no answer that is young enough takes the turn of that check, asks,
and writes the answer down; who finds the turn taken waits for that answer. The turn is a
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


@dataclass(frozen=True, slots=True)
class SharedResult:
    """An answer that some worker got, and when, on the clock that all of them have."""

    result: CheckResult
    at: float


class SharedResults:
    """Where the workers of one server leave the answers of their checks."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._workers: Workers | None = None
        self._places: list[SharedFile] = []

    def open(self) -> Self:
        """Join the other workers, where there are any."""
        try:
            workers = Workers.of_this_process(self._purpose)
            if workers is not None:
                workers.join(seconds=_LOCK_SECONDS)
            self._workers = workers
        except OSError as error:
            log.warning("each worker asks all checks by itself: %s", error)
        return self

    def place(self, name: str) -> "SharedFile | None":
        """Return where the answers of a check are left; None where there is one worker."""
        if self._workers is None:
            return None
        made = SharedFile(self._workers.folder / sha256(name.encode()).hexdigest()[:16])
        self._places.append(made)
        return made

    def close(self) -> None:
        """Leave the others."""
        for place in self._places:
            place.close()
        self._places.clear()
        workers, self._workers = self._workers, None
        if workers is not None:
            # What is left then goes with the next start.
            with suppress(OSError), workers.alone(seconds=_LOCK_SECONDS):
                workers.leave()


class SharedFile:
    """The last answer of one check, and the turn of who asks next.

    Files are small and in the folder for temporary files: reading one takes no thread,
    which might not be had when it matters.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Kept open: to close it would end the lock.
        self._turn = os.open(path.with_suffix(".turn"), os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> SharedResult | None:
        """Return the last answer that any worker got."""
        try:
            found: Any = json.loads(self._path.read_bytes())
            known: dict[str, Any] = found["result"]
            known["at"] = datetime.fromisoformat(known["at"])
            return SharedResult(CheckResult(**known), found["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, result: CheckResult) -> SharedResult:
        """Leave an answer."""
        heard = SharedResult(result, monotonic())
        known = {
            "status": result.status,
            "at": result.at.isoformat(),
            "seconds": result.seconds,
            "reason": result.reason,
        }
        new = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):  # then the others ask by themselves
            new.write_text(json.dumps({"result": known, "at": heard.at}))
            new.replace(self._path)
        return heard

    @contextmanager
    def turn(self) -> Generator[bool]:
        """Take the turn, if nobody has it; tell whether it is ours."""
        mine = lock(self._turn)
        try:
            yield mine
        finally:
            if mine:
                unlock(self._turn)

    async def hear(self, *, since: float, within: float) -> SharedResult | None:
        """Wait for the answer of who has the turn; None where that gives it up without."""
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
        """Give the turn to others."""
        os.close(self._turn)


_PAUSE: Final = 0.02
