"""Jobs in Celery's workers: the application, its engine, and the worker as a process.

`python -m depot.celery_work` is what `depot worker` starts and ends.
"""

import argparse
import asyncio
import logging.config
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

# Celery has no types.
# pyright: reportMissingTypeStubs=false
from celery import Celery  # type: ignore[import-untyped]
from celery import signals as celery_signals

from depot import logs, parts
from depot import settings as depot_settings
from depot.mail.mailer import Mailer
from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.database import Database
from roadworthy.jobs import Jobs
from roadworthy.jobs.engines.celery import CeleryEngine
from roadworthy.uploads import Files

__all__ = ["CeleryWorker", "app", "engine"]

PREFIX: Final = "depot."
CLOSING_SECONDS: Final = 5.0
"""For processes to end beyond the grace of their jobs."""
READY: Final = b"ready\n"

_signals: Any = celery_signals
log = logging.getLogger("depot")


def app(settings: Settings) -> Any:
    """Return the Celery application, of which only the broker is used."""
    made: Any = Celery("depot", broker=settings.jobs.broker_url, set_as_current=False)
    made.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return made


def engine(app: Any, grace: Grace, *, queue_limits: Mapping[str, int]) -> CeleryEngine:
    """Return the engine, for the server, for `depot worker` and for its processes."""
    return CeleryEngine(app, prefix=PREFIX, grace=grace.jobs, queue_limits=queue_limits)


class CeleryWorker:
    """A Celery worker as a process of its own: opened when it is ready, and ended with us."""

    def __init__(self, grace: Grace, *, queues: Sequence[str] | None) -> None:
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
        command = (sys.executable, "-m", "depot.celery_work", *self._queues)
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        if self._process.stdout is None or await self._process.stdout.readline() != READY:
            raise RuntimeError("The Celery worker has ended before it was ready.")
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
        log.error("The Celery worker has ended with %s", code)
        self.died = True
        os.kill(os.getpid(), signal.SIGTERM)


def main(queues: Sequence[str]) -> None:
    """Be the worker, until a signal says to stop or whoever started it is gone."""
    settings = depot_settings.read()
    logging.config.dictConfig(logs.config(settings.log.format))
    grace = Grace.of_worker(settings)
    made = app(settings)
    hearing = engine(made, grace, queue_limits=parts.LIMITS)

    def opened() -> tuple[Database, Files, Mailer, Jobs]:
        db, files = parts.database(settings, grace), parts.files(settings)
        mailer = parts.mailer(settings)
        return db, files, mailer, parts.jobs(db, files, mailer, hearing)

    hearing.register(opened)
    _signals.worker_ready.connect(_announce, weak=False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    served = ",".join(PREFIX + queue for queue in queues)
    made.worker_main(["--quiet", "worker", "--queues", served, "--loglevel", "WARNING"])


def _announce(**_: object) -> None:
    os.write(sys.stdout.fileno(), READY)


def _end_with_parent() -> None:
    # Not with sys.stdin: forked processes close that, and would wait for this thread's lock.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("queues", nargs="+")
    main(parser.parse_args().queues)
