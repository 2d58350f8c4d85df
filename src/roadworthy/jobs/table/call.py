"""`Call`: a task together with its arguments and options, before it is a job."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from roadworthy.jobs.task_options import TaskTerms, Unique

__all__ = ["Call", "Enqueued", "EnqueuedTask", "JobOptions"]


class EnqueuedTask(Protocol):
    """A `Task`, as far as its jobs are written by it."""

    @property
    def name(self) -> str:
        """The name that its jobs are stored under."""
        ...

    @property
    def terms(self) -> TaskTerms:
        """The options that the task was declared with."""
        ...


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What may differ from one job of a task to the next."""

    run_at: datetime | None = None
    unique_key: str | None = None
    unique: Unique | None = None
    priority: int | None = None
    queue: str | None = None
    expires: timedelta | datetime | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A task with its arguments, not enqueued yet: `task.call(...)` returns one."""

    task: EnqueuedTask
    arguments: str
    """The arguments, as JSON."""
    options: JobOptions
    argument_key: str | None = None
    """A key that is the same for equal arguments; only unique tasks have one."""
    limit_key: str | None = None
    """The key that the limit of the task counts this job under."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that exists if the transaction commits."""

    id: str
    created: bool = True
    """False where a job with the same unique key was there already: it is that one."""
