"""`Job`: one attempt, as the running task sees it; `GiveUp` and `TryAgain` end it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy._internal.durations import duration

__all__ = ["GiveUp", "Host", "Job", "TryAgain", "storable_progress"]

K = TypeVar("K")
P = ParamSpec("P")
R = TypeVar("R")


class GiveUp(Exception):
    """Raise in a task to fail for good: another attempt would change nothing."""


class TryAgain(Exception):
    """Raise in a task to be run again, after `delay` or the task's back-off.

    It uses an attempt: a task that only waits for something ends one day. A delay beyond
    the calendar waits until its end, and one below zero not at all.

    Raises:
        TypeError: `delay` is no timedelta.
    """

    def __init__(self, reason: str = "", *, delay: timedelta | None = None) -> None:
        super().__init__(reason)
        if delay is not None:
            duration(delay, "delay", example="timedelta(minutes=5)")
        self.delay = delay


class Host(Protocol):
    """The attempt behind a `Job`, as far as the task may ask it."""

    def find(self, kind: type[K]) -> K:
        """Return the part of this type."""
        ...

    def progress(self, done: float, note: str) -> None:
        """Keep how much of the job is done, from 0 to 1."""
        ...

    def cancelled(self) -> bool:
        """Return whether the job should stop."""
        ...

    def completing(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open the transaction that completes the job."""
        ...

    def in_process(self, call: Callable[[], R]) -> Awaitable[R]:
        """Run a call in a worker process."""
        ...


class Job:
    """One attempt at a job: a parameter `job: Job` of a task is given it."""

    __slots__ = ("_host", "attempt", "attempts", "id", "request_id", "task")

    def __init__(
        self,
        host: Host,
        *,
        id: str,  # noqa: A002 - the field's word
        task: str,
        attempt: int,
        attempts: int,
        request_id: str | None,
    ) -> None:
        self._host = host
        self.id = id
        self.task = task
        self.attempt = attempt
        """The number of this attempt, from 1."""
        self.attempts = attempts
        """How many there will be at most."""
        self.request_id = request_id
        """The request that enqueued it."""

    def __repr__(self) -> str:
        return f"Job({self.task!r}, id={self.id!r}, attempt={self.attempt} of {self.attempts})"

    @property
    def idempotency_key(self) -> str:
        """A key that is the same in every attempt: pass it on to what must act once."""
        return self.id

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop: a thread cannot be stopped, it has to look."""
        return self._host.cancelled()

    def find(self, kind: type[K]) -> K:
        """Return the database, or the one of `Jobs(parts=[...])` that is of this type.

        Raises:
            LookupError: There is none; its text has the line of code to add.
        """
        return self._host.find(kind)

    def progress(self, done: float, note: str = "") -> None:
        """Tell how much is done, from 0 to 1; it is written down about once a second."""
        self._host.progress(*storable_progress(done, note))

    def completing(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open the transaction that completes the job, as the last thing it does.

            sent = await mailer.send(...)
            async with job.completing() as tx:
                await tx.execute(...)

        What is written in it and the completion of the job are committed together, so
        it happens once, even where the slow part before it happened twice.

        Raises:
            RuntimeError: On leaving: the job is somebody else's by now; nothing is kept.
        """
        return self._host.completing()

    async def in_process(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a worker process, within the task's time and memory.

        Function, arguments and result travel by pickle: a function of a module, and values.

        Raises:
            MemoryError: It took more than the task's `max_memory`.
        """
        return await self._host.in_process(partial(function, *args, **kwargs))


def storable_progress(done: float, note: str) -> tuple[float, str]:
    """Return how far a job is, as a row can keep that: 0 to 1, and 200 characters."""
    storable = note.encode(errors="replace").decode().replace("\0", "?")
    return min(1.0, max(0.0, float(done))), storable[:200]
