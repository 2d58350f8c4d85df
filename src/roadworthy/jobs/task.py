"""`task`: declare background work; `Task`: enqueue it.

@task(attempts=5, timeout=timedelta(seconds=30))
async def send_confirmation(job: Job, order_id: str) -> None: ...

await send_confirmation.enqueue(tx, order_id=order.id)  # runs if and only if tx commits
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_args,
    overload,
)

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy.jobs import clock, insert
from roadworthy.jobs._arguments import Signature, signature_of
from roadworthy.jobs.backoff import Backoff
from roadworthy.jobs.insert import Call, Enqueued, Options, Unique
from roadworthy.jobs.job import Job
from roadworthy.jobs.schedule import Schedule
from roadworthy.jobs.signals import run_after_commit

__all__ = ["Function", "RunsOn", "Sending", "Task", "Terms", "Upgrade", "task"]

P = ParamSpec("P")
S = TypeVar("S", bound=AsyncSession)

RunsOn: TypeAlias = Literal["loop", "thread", "cpu"]
"""Where a task runs: the event loop, a thread, or a worker process."""
Upgrade: TypeAlias = Callable[[int, dict[str, Any]], dict[str, Any]]
"""Turns the arguments of an older version into today's."""
Function: TypeAlias = Callable[..., Awaitable[object] | object]
"""What can be a task."""
F = TypeVar("F", bound=Function)

_QUEUE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNIQUE_KEY: Final = re.compile(rf"[^\0\ud800-\udfff]{{1,{insert.MAX_UNIQUE_KEY}}}")
"""What both databases can keep."""
_MAX_NAME: Final = 200
_MAX_PRIORITY: Final = 1440
"""A day's head start, in minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a task is run; the keywords of `task`."""

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


class Sending(Generic[P]):
    """A task and the options it is enqueued with: what `Task.options` returns."""

    def __init__(self, target: "Task[P]", options: Options) -> None:
        self._task = target
        self._options = options

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Return the task with its arguments, for `enqueue_many`.

        Raises:
            ArgumentsMistaken: The arguments do not fit the task.
        """
        target = self._task
        return Call(target, target.signature.dump(args, kwargs), self._options)

    async def enqueue(
        self, tx: AsyncSession | AsyncConnection, /, *args: P.args, **kwargs: P.kwargs
    ) -> Enqueued:
        """Add a job in the transaction `tx`: it runs if and only if that commits.

        One INSERT, without waiting for anybody. The arguments are stored as JSON.

        Raises:
            ArgumentsMistaken: The arguments do not fit the task; nothing was written.
        """
        return await insert.add(tx, self.call(*args, **kwargs))

    def enqueue_sync(
        self, tx: Session | Connection, /, *args: P.args, **kwargs: P.kwargs
    ) -> Enqueued:
        """Do the same in a transaction of synchronous SQLAlchemy.

        Raises:
            ArgumentsMistaken: The arguments do not fit the task; nothing was written.
        """
        return insert.add_sync(tx, self.call(*args, **kwargs))

    def after_commit(
        self, tx: AsyncSession | Session, /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run the task once in this process after `tx` has committed, unstored.

        For what may be lost: a crash loses it, and a failure is logged, not repeated.

        Raises:
            ArgumentsMistaken: The arguments do not fit the task.
        """
        run_after_commit(tx, self.call(*args, **kwargs))


class Task(Sending[P]):
    """A function that can be enqueued; make one with `@task`."""

    def __init__(self, function: Function, *, name: str | None, terms: Terms) -> None:
        super().__init__(self, Options(unique=terms.unique))
        self.function = function
        """The function itself, to be called directly, as in a test."""
        self.name = name or f"{function.__module__}.{function.__qualname__}"
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__
        self.__doc__, self.__wrapped__ = function.__doc__, function
        self.terms = terms
        self.dead_handler: Function | None = None
        _check(self)

    def __repr__(self) -> str:
        return f"Task({self.name!r})"

    def __reduce__(self) -> str:
        # Pickled by its name, so that a worker process finds its own.
        return self.__qualname__

    @cached_property
    def signature(self) -> Signature:
        """The parameters, read when first needed: annotations may name later things.

        Raises:
            TypeError: One of them cannot be stored, or cannot be had where the task runs.
        """
        signature = signature_of(self.name, self.function)
        if signature.takes_tx and self.terms.runs_on != "loop":
            raise TypeError(
                f"{self.name} runs on a {self.terms.runs_on} and takes a transaction, which stays "
                "on the event loop. Write `async def`, and call the slow part with "
                "`await job.in_process(...)` or `asyncio.to_thread(...)`."
            )
        if self.terms.schedule is not None and _required(signature):
            raise TypeError(f"{self.name} has a schedule: its parameters need defaults.")
        return signature

    def options(
        self,
        *,
        delay: timedelta | None = None,
        run_at: datetime | None = None,
        unique_key: str | None = None,
        priority: int | None = None,
        queue: str | None = None,
    ) -> Sending[P]:
        """Return the task with other terms for one job.

            await remind.options(delay=timedelta(days=1)).enqueue(tx, order_id=order.id)

        It runs no earlier than `run_at`, or `delay` from now. While a job of this task
        with the same `unique_key` is unfinished (with `unique="queued"`: has not begun),
        enqueueing returns that one and adds nothing.

        Raises:
            ValueError: An option is out of its range; the text names it.
        """
        if unique_key is not None and not _UNIQUE_KEY.fullmatch(unique_key):
            most = insert.MAX_UNIQUE_KEY
            raise ValueError(f"unique_key has 1 to {most} characters, and U+0000 is none of them.")
        _check_terms(
            self.terms.priority if priority is None else priority,
            self.terms.queue if queue is None else queue,
        )
        chosen = Options(
            run_at=_moment(delay, run_at),
            unique_key=unique_key,
            unique=self.terms.unique or ("unfinished" if unique_key else None),
            priority=priority,
            queue=queue,
        )
        return Sending(self, chosen)

    def on_dead(self, handler: F) -> F:
        """Call `handler` in the transaction that records that a job is dead.

        It takes what the task takes: the same arguments, `tx` and `job` where it asks.
        """
        self.dead_handler = handler
        return handler


class _Declare:
    """What `task(...)` returns; leading `job` and `tx` are no arguments of a job."""

    def __init__(self, name: str | None, terms: Callable[[Function], Terms]) -> None:
        self._name, self._terms = name, terms

    @overload
    def __call__(self, function: Callable[Concatenate[Job, S, P], object], /) -> Task[P]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, Job, P], object], /) -> Task[P]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Job, P], object], /) -> Task[P]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], object], /) -> Task[P]: ...
    @overload
    def __call__(self, function: Callable[P, object], /) -> Task[P]: ...
    def __call__(self, function: Function, /) -> Task[...]:
        return Task(function, name=self._name, terms=self._terms(function))


@overload
def task(function: Callable[Concatenate[Job, S, P], object], /) -> Task[P]: ...
@overload
def task(function: Callable[Concatenate[S, Job, P], object], /) -> Task[P]: ...
@overload
def task(function: Callable[Concatenate[Job, P], object], /) -> Task[P]: ...
@overload
def task(function: Callable[Concatenate[S, P], object], /) -> Task[P]: ...
@overload
def task(function: Callable[P, object], /) -> Task[P]: ...
@overload
def task(
    *,
    name: str | None = None,
    attempts: int = 5,
    backoff: Backoff = ...,
    timeout: timedelta | None = ...,
    runs_on: RunsOn | None = None,
    priority: int = 0,
    queue: str = "default",
    unique: Unique | None = None,
    version: int = 1,
    upgrade: Upgrade | None = None,
    schedule: Schedule | None = None,
    max_memory: int | None = ...,
) -> _Declare: ...
def task(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    runs_on: RunsOn | None = None,
    **terms: Any,
) -> Any:
    """Declare a function as a task.

    `name` is what its jobs are stored under: module and function, unless given; keep
    it when the function moves. `attempts` is how often it is tried in all, `backoff` how
    long it waits in between. An attempt longer than `timeout` has failed. `runs_on` is
    `"loop"` for coroutines, `"thread"` for functions that wait, `"cpu"` for functions that
    compute: in a process of its own, with at most `max_memory` bytes. `priority` is a
    head start in minutes: 60 goes before whatever was enqueued in the last hour, and
    nothing ever waits more than that hour longer for it. `queue` is served by the workers
    that ask for it. `unique="unfinished"` keeps one unfinished job for equal arguments,
    `"queued"` one that has not begun. `version` is raised when the parameters change in a
    way that old jobs do not fit; `upgrade(version, arguments)` then turns theirs into
    today's. `schedule` enqueues it by the clock.

    Raises:
        ValueError: A term is out of its range; the text names it.
        TypeError: The function cannot run there.
    """
    if unknown := terms.keys() - {known.name for known in fields(Terms)}:
        raise TypeError(
            f"task() has no {', '.join(sorted(unknown))}. It takes name, "
            f"{', '.join(known.name for known in fields(Terms))}."
        )

    def resolve(declared: Function) -> Terms:
        return Terms(runs_on=runs_on or _natural(declared), **terms)

    declare = _Declare(name, resolve)
    if function is None:
        return declare
    if not inspect.isroutine(function):
        raise TypeError(f"@task takes a function, or keywords only: @task(name={function!r}).")
    return declare(function)


def _natural(function: Function) -> RunsOn:
    return "loop" if inspect.iscoroutinefunction(function) else "thread"


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
    "version": (lambda it: isinstance(it, int) and it >= 1, "1 or more: version=2"),
    "upgrade": (
        lambda it: it is None or callable(it),
        "a function: upgrade=lambda version, arguments: {**arguments}",
    ),
    "schedule": (
        lambda it: it is None or (hasattr(it, "after") and hasattr(it, "spec")),
        "Cron('0 3 * * *', zone='Europe/Berlin') or Every(timedelta(minutes=5))",
    ),
    "max_memory": (
        lambda it: it is None or (isinstance(it, int) and it >= 1),
        "bytes, or None for no limit: max_memory=512 * 1024**2",
    ),
}
"""What a term has to be, and what to type."""


def _check(declared: Task[...]) -> None:
    terms = declared.terms
    for name, (fits, what) in _KINDS.items():
        if not fits(value := getattr(terms, name)):
            raise ValueError(f"{declared.name}: {name} is {value!r}, and has to be {what}.")
    if inspect.iscoroutinefunction(declared.function) != (terms.runs_on == "loop"):
        kind = "async def" if terms.runs_on == "loop" else "def"
        raise TypeError(f"{declared.name} with runs_on={terms.runs_on!r} has to be a `{kind}`.")
    if len(declared.name) > _MAX_NAME or "<locals>" in declared.name or not declared.name:
        raise ValueError(
            f"A task's jobs are stored under its name, and {declared.name!r} is none that a worker "
            f"could find. Define it at module level, or give it one: @task(name='...')."
        )
    _check_terms(terms.priority, terms.queue)


def _check_terms(priority: int, queue: str) -> None:
    if not -_MAX_PRIORITY <= priority <= _MAX_PRIORITY:
        raise ValueError(f"priority is from -{_MAX_PRIORITY} to {_MAX_PRIORITY} minutes.")
    if not _QUEUE.fullmatch(queue):
        raise ValueError("queue has 1 to 64 of the characters A-Z a-z 0-9 _ . -")


def _moment(delay: timedelta | None, run_at: datetime | None) -> datetime | None:
    if delay is not None and run_at is not None:
        raise ValueError("Give delay or run_at, not both.")
    if run_at is not None and run_at.tzinfo is None:
        raise ValueError("run_at needs a time zone: datetime.now(UTC) + timedelta(hours=1).")
    if delay is not None:
        return clock.now() + delay
    return None if run_at is None else run_at.astimezone(UTC)


def _required(signature: Signature) -> bool:
    try:
        signature.dump((), {})
    except TypeError:
        return True
    return False
