"""`TaskOptions`: the options of `@task`, their defaults and allowed values.

This is the one place to add another: name its type and say what it does in `TaskOptions`, give
its default in `TaskTerms`, and say which values fit in `_KINDS`. Options of retries are read in
`roadworthy/jobs/worker/retrying.py`.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, TypedDict, get_args

from roadworthy.jobs.arguments.callables import is_async
from roadworthy.jobs.backoff import Backoff
from roadworthy.jobs.limits import Limit
from roadworthy.jobs.schedule import Schedule, is_schedule

__all__ = [
    "Function",
    "RunsOn",
    "TaskOptions",
    "TaskTerms",
    "Unique",
    "Upgrade",
    "check",
    "check_turn",
]

RunsOn: TypeAlias = Literal["loop", "thread", "cpu"]
"""Where a task runs: the event loop, a thread, or a worker process."""
Unique: TypeAlias = Literal["queued", "unfinished"]
"""How long a job is the only one with its key: until it begins, or until it ends."""
Upgrade: TypeAlias = Callable[[int, dict[str, Any]], dict[str, Any]]
"""Turns the arguments of an older version into those of today."""
Function: TypeAlias = Callable[..., Awaitable[object] | object]
"""A function that can be a task."""

_QUEUE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_INTEGER: Final = 2**31 - 1
_MAX_BYTES: Final = 2**62
_MAX_PRIORITY: Final = 1440
"""A day's head start, in minutes."""


class TaskOptions(TypedDict, total=False):
    """The options of `@task`, beside `name` and `runs_on`.

    - `attempts`: how often a job is tried in total; 5 unless given.
    - `backoff`: how long a failed job waits before the next attempt; `Backoff()` unless given.
    - `timeout`: how long an attempt may take before it has failed. 15 minutes unless given; None
      is no limit.
    - `priority`: a head start in minutes. A job with 60 goes before all jobs that were enqueued in
      the last hour, and delays no job by more than that hour.
    - `queue`: the queue of the jobs, `"default"` unless given. A worker may serve some queues only.
    - `unique`: `"unfinished"` keeps one unfinished job for equal arguments, `"queued"` one that
      has not begun.
    - `version`: increase it when parameters change so that old jobs do not fit; 1 unless given.
    - `upgrade`: a function `(version, arguments)` that turns the arguments of an older version
      into those of today.
    - `schedule`: a `Cron` or an `Every`, which enqueue jobs by the clock.
    - `max_memory`: the most bytes that an attempt with `runs_on="cpu"` may take; 1 GiB unless
      given, None is no limit.
    - `expires`: how long after it was due a job may still begin; then it is not run any more.
    - `limit`: a `Limit` of how many jobs with one key run at a time, or begin in a period.
    """

    attempts: int
    backoff: Backoff
    timeout: timedelta | None
    priority: int
    queue: str
    unique: Unique | None
    version: int
    upgrade: Upgrade | None
    schedule: Schedule | None
    max_memory: int | None
    expires: timedelta | None
    limit: Limit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTerms:
    """The options of a task with their defaults."""

    attempts: int = 5
    backoff: Backoff = field(default_factory=Backoff)
    timeout: timedelta | None = timedelta(minutes=15)
    runs_on: RunsOn = "loop"
    priority: int = 0
    queue: str = "default"
    unique: Unique | None = None
    version: int = 1
    upgrade: Upgrade | None = None
    schedule: Schedule | None = None
    max_memory: int | None = 1024**3
    expires: timedelta | None = None
    limit: Limit | None = None


def check(name: str, function: Function, terms: TaskTerms) -> None:
    """Refuse terms that a task cannot have.

    Raises:
        ValueError: A term is out of its range; the text names it.
        TypeError: The function cannot run where `runs_on` says.
    """
    for term, (fits, what) in _KINDS.items():
        if not fits(value := getattr(terms, term)):
            raise ValueError(f"{name}: {term} is {value!r}, and has to be {what}.")
    if is_async(function) != (terms.runs_on == "loop"):
        kind = "async def" if terms.runs_on == "loop" else "def"
        raise TypeError(f"{name} with runs_on={terms.runs_on!r} has to be a `{kind}`.")
    check_turn(terms.priority, terms.queue)


def check_turn(priority: object, queue: object) -> None:
    """Refuse a priority or a queue that no job can have.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An argument is of another type.
    """
    if not isinstance(priority, int):
        raise TypeError(f"priority is {priority!r}, and has to be minutes: priority=60.")
    if not -_MAX_PRIORITY <= priority <= _MAX_PRIORITY:
        raise ValueError(f"priority is from -{_MAX_PRIORITY} to {_MAX_PRIORITY} minutes.")
    if not isinstance(queue, str):
        raise TypeError(f"queue is {queue!r}, and has to be a name: queue='mails'.")
    if not _QUEUE.fullmatch(queue):
        raise ValueError("queue has 1 to 64 of the characters A-Z a-z 0-9 _ . -")


_KINDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "attempts": (lambda it: isinstance(it, int) and it >= 1, "1 or more: attempts=5"),
    "backoff": (
        lambda it: isinstance(it, Backoff),
        "a Backoff: backoff=Backoff(first=timedelta(seconds=2))",
    ),
    "timeout": (
        lambda it: it is None or (isinstance(it, timedelta) and it > timedelta(0)),
        "a time, or None for no limit: timeout=timedelta(seconds=30)",
    ),
    "priority": (lambda it: isinstance(it, int), "minutes of head start: priority=60"),
    "queue": (lambda it: isinstance(it, str), "a name: queue='mails'"),
    "runs_on": (lambda it: it in get_args(RunsOn), "'loop', 'thread' or 'cpu'"),
    "unique": (
        lambda it: it is None or it in get_args(Unique),
        "None, 'queued' or 'unfinished'",
    ),
    "version": (
        lambda it: isinstance(it, int) and 1 <= it <= _MAX_INTEGER,
        f"1 to {_MAX_INTEGER}: version=2",
    ),
    "upgrade": (
        lambda it: it is None or callable(it),
        "a function: upgrade=lambda version, arguments: {**arguments}",
    ),
    "schedule": (
        lambda it: it is None or is_schedule(it),
        "Cron('0 3 * * *', zone='Europe/Berlin') or Every(timedelta(minutes=5))",
    ),
    "expires": (
        lambda it: it is None or (isinstance(it, timedelta) and it > timedelta(0)),
        "a time from when a job is due, or None: expires=timedelta(minutes=10)",
    ),
    "limit": (
        lambda it: it is None or isinstance(it, Limit),
        "a Limit: limit=Limit(concurrency=1, key=lambda user_id: user_id)",
    ),
    "max_memory": (
        lambda it: it is None or (isinstance(it, int) and 1 <= it <= _MAX_BYTES),
        "bytes, or None for no limit: max_memory=512 * 1024**2",
    ),
}
"""The check of each term, and what to type instead."""
