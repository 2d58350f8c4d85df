"""Workers of a broker's engine as a process of its own: started, waited for, ended with us."""

import asyncio
import logging
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from depot import parts
from depot.stopping import Grace

__all__ = ["BrokerWorker", "announce", "end_with_parent"]

CLOSING_SECONDS: Final = 5.0
"""For processes to end beyond the grace of their jobs."""
READY: Final = b"ready\n"

log = logging.getLogger("depot")


class BrokerWorker:
    """A worker as a process of its own: opened when it is ready, and ended with us."""

    def __init__(self, engine: str, grace: Grace, *, queues: Sequence[str] | None) -> None:
        self._engine = engine
        self._seconds = grace.jobs.total_seconds() + CLOSING_SECONDS
        self._queues = queues or sorted({task.terms.queue for task in parts.TASKS})
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.died = False
        """Whether it has ended by itself."""

    async def __aenter__(self) -> Self:
        """Start it, and wait until it hears.

        Raises:
            RuntimeError: It has ended before that; what it wrote says why.
        """
        command = (sys.executable, "-m", f"depot.{self._engine}_work", *self._queues)
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        if self._process.stdout is None or await self._process.stdout.readline() != READY:
            raise RuntimeError(f"The worker of {self._engine} has ended before it was ready.")
        self._watch = asyncio.create_task(self._stop_without(self._process))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Have it give back what does not end within the grace, and wait for its end."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(self._seconds):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _stop_without(self, process: Process) -> None:
        code = await process.wait()
        log.error("The worker of %s has ended with %s", self._engine, code)
        self.died = True
        os.kill(os.getpid(), signal.SIGTERM)


def announce(**_: object) -> None:
    """Tell whoever started this process that it hears."""
    os.write(sys.stdout.fileno(), READY)


def end_with_parent() -> None:
    """End this process as SIGTERM does when whoever started it is gone."""
    threading.Thread(target=_wait_for_its_end, daemon=True).start()


def _wait_for_its_end() -> None:
    # Not with sys.stdin: forked processes close that, and would wait for this thread's lock.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
