"""Workers of a broker's engine as a process of its own, which ends with us and not before.

Celery's worker ends by itself where Redis goes away in the wrong moment: then there is
another one, as a supervisor would have it.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Final, Self

from depot import parts
from depot.stopping import Grace

__all__ = ["BrokerWorker", "announce", "end_with_parent"]

CLOSING_SECONDS: Final = 5.0
"""For processes to end beyond the grace of their jobs."""
READY: Final = b"ready\n"
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds before another one begins; a worker that lived for longer begins with the first."""
TRIES: Final = 5
"""How many may end before they are ready, until the whole process is somebody else's to start."""

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
        """Whether it has ended by itself, and no other one could begin."""

    async def __aenter__(self) -> Self:
        """Start it, and wait until it hears.

        Raises:
            RuntimeError: It has ended before that; what it wrote says why.
        """
        process = await self._start()
        self._watch = asyncio.create_task(self._keep(process))
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

    async def _start(self) -> Process:
        command = (sys.executable, "-m", f"depot.{self._engine}_work", *self._queues)
        # Known before it is ready: who stops meanwhile ends it, too.
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        if self._process.stdout is None or await self._process.stdout.readline() != READY:
            raise RuntimeError(f"The worker of {self._engine} has ended before it was ready.")
        return self._process

    async def _keep(self, process: Process) -> None:
        """Start another one whenever it has ended; stop all of us where that fails often."""
        pause, failed = FIRST_PAUSE, 0
        while failed < TRIES:
            began = monotonic()
            code = await process.wait()
            pause = FIRST_PAUSE if monotonic() - began > LONGEST_PAUSE else pause
            log.error("The worker of %s has ended with %s: another one begins", self._engine, code)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                process, failed = await self._start(), 0
            except RuntimeError:
                failed += 1
        log.error("The worker of %s does not begin any more", self._engine)
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
