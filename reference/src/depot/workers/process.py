"""`BrokerWorker`: the worker of a broker as a process of its own, which ends with ours.

Celery's worker ends by itself where Redis goes away in the wrong moment: then another
one is started, as a supervisor would do.
"""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Final, Self

from depot.stopping import Grace
from depot.workers.child import READY

__all__ = ["BrokerWorker"]

CLOSING_SECONDS: Final = 5.0
"""Seconds that a process has to end, beyond the grace of its jobs."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds before another worker starts; after one that lived longer, it is the first again."""
TRIES: Final = 5
"""Workers that may end before they are ready, until this process stops, too."""

log = logging.getLogger("depot")


class BrokerWorker:
    """A worker in a process of its own: opened when that is ready, and ended with ours.

    Args:
        engine: The broker's library, "celery" or "rq".
        grace: How long running jobs may take to end.
        queues: The queues that it serves.
    """

    def __init__(self, engine: str, grace: Grace, *, queues: Sequence[str]) -> None:
        self._engine = engine
        self._seconds = grace.jobs.total_seconds() + CLOSING_SECONDS
        self._queues = queues
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.died = False
        """Whether the worker has ended by itself, and no other one could start."""

    async def __aenter__(self) -> Self:
        """Start the worker, and wait until it takes jobs.

        Raises:
            RuntimeError: The worker ended before that; its output says why.
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
        """End the worker: it gives back the jobs that do not end within the grace."""
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
        command = (sys.executable, "-m", f"depot.workers.{self._engine}_worker", *self._queues)
        # Kept before it is ready: a stop meanwhile ends it, too.
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        if self._process.stdout is None or await self._process.stdout.readline() != READY:
            raise RuntimeError(f"The worker of {self._engine} has ended before it was ready.")
        return self._process

    async def _keep(self, process: Process) -> None:
        """Start another worker whenever one has ended; stop our process where that fails often."""
        pause, failed = FIRST_PAUSE, 0
        while failed < TRIES:
            began = monotonic()
            code = await process.wait()
            pause = FIRST_PAUSE if monotonic() - began > LONGEST_PAUSE else pause
            log.error("The worker of %s has ended with %s: another one starts", self._engine, code)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                process, failed = await self._start(), 0
            except RuntimeError:
                failed += 1
        log.error("The worker of %s does not start any more", self._engine)
        self.died = True
        os.kill(os.getpid(), signal.SIGTERM)
