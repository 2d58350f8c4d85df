"""`Sidecar`: the process beside an RQ worker, which runs jobs.

The process is forked when the worker starts, opens its parts once, and lives as long as the
worker. RQ's own way, a process for each job, would open the parts for each job. A crash in the
process does not end the worker; the next doorbell starts a new process.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Final

from roadworthy.jobs.broker.message import Doorbell

__all__ = ["Answers", "Sent", "Sidecar"]

_AT_ONCE: Final = 8
"""Doorbells that may wait for their answers, so that one without a slot delays no other."""
_LOOK: Final = 1.0
"""Seconds between two checks that the worker still lives."""
_CLOSING: Final = 10.0
"""Seconds for the process to end beyond the grace of its jobs."""

_context = multiprocessing.get_context("fork")  # as RQ's workers do: the process knows the parts


@dataclass(frozen=True, slots=True)
class Sent:
    """A doorbell, and the job of RQ that carries it."""

    id: str
    queue: str
    """The key of the queue in Redis."""
    bell: Doorbell


@dataclass(frozen=True, slots=True)
class Answers:
    """The functions that the process calls: `hear` a doorbell in a thread, and `end`."""

    begin: Callable[[], object]
    hear: Callable[[Sent], None]
    end: Callable[[], object]


class Sidecar:
    """Pass doorbells on to a process, and start a new one if it has died."""

    def __init__(self, answers: Answers, *, grace: float) -> None:
        self._answers, self._seconds = answers, grace + _CLOSING
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._open: dict[str, Sent] = {}
        """Doorbells that were passed on and not answered yet."""

    def begin(self) -> None:
        """Start the process, unless it was started."""
        if self._pipe is None:
            self._start()
            atexit.register(self.end)  # before multiprocessing waits for all of its processes

    def pass_on(self, sent: Sent) -> None:
        """Pass a doorbell on, and wait while too many others have no answer."""
        self._open[sent.id] = sent
        try:
            self._send(sent)
            self._take_answers()
        except (EOFError, OSError):  # the process has died: the next one gets all that it left
            self._forget()
            for each in self._open.values():
                self._send(each)

    def end(self) -> list[Sent]:
        """Let the process give back jobs that do not end within the grace, and end.

        Return the doorbells that were not answered.
        """
        atexit.unregister(self.end)
        if self._pipe is not None:
            try:
                # Any error: a signal may have cut a message in two.
                with suppress(Exception):
                    self._see_it_end(self._pipe, monotonic() + self._seconds)
            finally:  # even if a second signal comes
                self._forget()
        left, self._open = list(self._open.values()), {}
        return left

    def _send(self, sent: Sent) -> None:
        self.begin()
        assert self._pipe is not None  # noqa: S101 - it has begun
        self._pipe.send(sent)

    def _take_answers(self) -> None:
        """Take the answers that have come, and wait for some if too many are missing."""
        assert self._pipe is not None  # noqa: S101 - something was sent
        while len(self._open) >= _AT_ONCE or self._pipe.poll():
            self._open.pop(self._pipe.recv(), None)

    def _see_it_end(self, pipe: Connection, deadline: float) -> None:
        pipe.send(None)
        while pipe.poll(max(0.0, deadline - monotonic())):
            self._open.pop(pipe.recv(), None)

    def _start(self) -> None:
        ours, its = _context.Pipe()
        self._process = _context.Process(
            target=_attend, args=(self._answers, ours, its), name="roadworthy-jobs"
        )
        self._process.start()
        its.close()
        self._pipe = ours

    def _forget(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._pipe = self._process = None


def _attend(answers: Answers, theirs: Connection, pipe: Connection) -> None:
    """Run as the process: receive doorbells until the worker says stop, or is gone."""
    theirs.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        # The worker gets these signals, too. A handler, not SIG_IGN: children would inherit that.
        signal.signal(number, _go_on)
    lock = threading.Lock()

    def answer(sent: Sent) -> None:
        answers.hear(sent)
        with lock, suppress(OSError):
            pipe.send(sent.id)

    answers.begin()
    threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="roadworthy-hear")
    for sent in _until_told(pipe):
        threads.submit(answer, sent)
    threads.shutdown(wait=False, cancel_futures=True)
    answers.end()
    threads.shutdown()


def _go_on(number: int, frame: object) -> None:
    """Ignore a signal that the worker gets, too."""


def _until_told(pipe: Connection) -> Iterator[Sent]:
    """Yield doorbells until the worker says stop, or is gone."""
    worker = os.getppid()
    with suppress(EOFError, OSError):
        while os.getppid() == worker:
            if not pipe.poll(_LOOK):
                continue
            sent = pipe.recv()
            if sent is None:
                return
            yield sent
