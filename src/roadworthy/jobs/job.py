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

    This uses up an attempt, so a task that waits in this way ends one day. A delay beyond the
    end of the calendar waits until that end, and a negative one not at all.

    Args:
        reason: A text for the record of the attempt.
        delay: How long to wait; None for the task's back-off.

    Raises:
        TypeError: `delay` is no timedelta.
    """

    def __init__(self, reason: str = "", *, delay: timedelta | None = None) -> None:
        super().__init__(reason)
        if delay is not None:
            duration(delay, "delay", example="timedelta(minutes=5)")
        self.delay = delay


class Host(Protocol):
    """The attempt behind a `Job`."""

    def find(self, kind: type[K]) -> K:
        """Return the part of this type."""
        ...

    def progress(self, done: float, note: str) -> None:
        """Record how much of the job is done, from 0 to 1."""
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
    """An attempt at a job, passed to a task that has a parameter `job: Job`."""

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
        """The most attempts of the job."""
        self.request_id = request_id
        """The id of the request that enqueued the job."""

    def __repr__(self) -> str:
        return f"Job({self.task!r}, id={self.id!r}, attempt={self.attempt} of {self.attempts})"

    @property
    def idempotency_key(self) -> str:
        """The same key in every attempt: pass it to services that must act only once."""
        return self.id

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop. A thread cannot be stopped: it has to ask."""
        return self._host.cancelled()

    def find(self, kind: type[K]) -> K:
        """Return the database, or the part of this type in `Jobs(parts=[...])`.

        Raises:
            LookupError: There is no such part; the text has the line of code to add.
        """
        return self._host.find(kind)

    def progress(self, done: float, note: str = "") -> None:
        """Report how much is done, from 0 to 1; recorded about once a second."""
        self._host.progress(*storable_progress(done, note))

    def completing(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open the transaction that completes the job; do this last in the task.

            sent = await mailer.send(...)
            async with job.completing() as tx:
                await tx.execute(...)

        What is written in it is committed together with the completion of the job. So it happens
        once, even if the slow part before it happened twice.

        Raises:
            RuntimeError: Another worker has the job by now, and nothing is kept; raised on
                leaving.
        """
        return self._host.completing()

    async def in_process(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a worker process, within the task's time and memory.

        The function, its arguments and its result are pickled: use a function of a module.

        Raises:
            MemoryError: The call took more than the task's `max_memory`.
        """
        return await self._host.in_process(partial(function, *args, **kwargs))


def storable_progress(done: float, note: str) -> tuple[float, str]:
    """Return progress in the form of a row: a number from 0 to 1, and 200 characters."""
    storable = note.encode(errors="replace").decode().replace("\0", "?")
    return min(1.0, max(0.0, float(done))), storable[:200]
