"""`task`: declare background work; `Task`: enqueue it.

@task(attempts=5, timeout=timedelta(seconds=30))
async def send_confirmation(job: Job, order_id: str) -> None: ...

await send_confirmation.enqueue(tx, order_id=order.id)  # runs if and only if tx commits
"""

import inspect
import re
import sys
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    TypeVar,
    Unpack,
    overload,
)

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from roadworthy._internal import calendar
from roadworthy._internal.durations import duration
from roadworthy._internal.keywords import defaults_of, refuse_unknown, shows_keywords
from roadworthy._sqlalchemy.transactions import session_of, to_await, to_call
from roadworthy.jobs.arguments.callables import is_async, unrun
from roadworthy.jobs.arguments.task_arguments import Signature, signature_of
from roadworthy.jobs.durations import moment
from roadworthy.jobs.job import Job
from roadworthy.jobs.limits import Limit
from roadworthy.jobs.table import clock, insert
from roadworthy.jobs.table.call import Call, Enqueued, JobOptions
from roadworthy.jobs.table.signals import expect, run_after_commit
from roadworthy.jobs.task_options import (
    Function,
    RunsOn,
    TaskOptions,
    TaskTerms,
    Upgrade,
    check,
    check_turn,
)

__all__ = ["Function", "RunsOn", "Sending", "Task", "TaskTerms", "Upgrade", "task"]

P = ParamSpec("P")
S = TypeVar("S", bound=AsyncSession | Session)

F = TypeVar("F", bound=Function)

_UNIQUE_KEY: Final = re.compile(rf"[^\0\ud800-\udfff]{{1,{insert.MAX_UNIQUE_KEY}}}")
"""What both databases can keep."""
_NAME: Final = re.compile(r"[^\0\ud800-\udfff]{1,200}")
"""What both databases can keep."""


class Sending(Generic[P]):
    """A task with options for one job, as `Task.options` returns it."""

    def __init__(self, target: "Task[P]", options: JobOptions) -> None:
        self._task = target
        self._options = options

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Return the task with its arguments, for `enqueue_many`.

        Raises:
            ArgumentsMistaken: The arguments do not fit the task.
        """
        task, options = self._task, self._options
        if options.unique is None or options.unique_key is not None:
            text, key = task.signature.dump(args, kwargs), None
        else:
            text, key = task.signature.dump_with_key(args, kwargs)
        return Call(task, text, options, argument_key=key, limit_key=task.limit_key(text))

    def enqueue(
        self,
        tx: "AsyncSession | AsyncConnection | async_scoped_session[Any]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[Any, Any, Enqueued]:
        """Add a job in the transaction `tx`: it runs if and only if that commits.

        Await the result. This is one INSERT, which waits for nobody. The arguments are stored as
        JSON. If the call was not awaited, the commit of the session raises, where `Jobs` is open.

        Raises:
            TypeError: `tx` is no async transaction; the text says what to write.
            ArgumentsMistaken: The arguments do not fit the task; nothing was written.
        """
        # Not `async def`: a wrong transaction is refused even if the call is not awaited.
        name = self._task.name
        session = to_await(tx, f"{name}.enqueue", f"{name}.enqueue_sync")
        call = self.call(*args, **kwargs)
        return insert.add(session, call, expect(session, f"{name}.enqueue"))

    def enqueue_sync(
        self,
        tx: "Session | Connection | scoped_session[Any]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Enqueued:
        """Add a job as `enqueue` does, in a transaction of synchronous SQLAlchemy.

        Raises:
            TypeError: `tx` is no such transaction; the text says what to write.
            ArgumentsMistaken: The arguments do not fit the task; nothing was written.
        """
        name = self._task.name
        session = to_call(tx, f"{name}.enqueue_sync", f"{name}.enqueue")
        return insert.add_sync(session, self.call(*args, **kwargs))

    def after_commit(
        self,
        tx: "AsyncSession | Session | async_scoped_session[Any] | scoped_session[Any]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Run the task once in this process after `tx` has committed, without a row.

        Use this for work that may be lost: a crash loses it, and a failure is only logged.

        Raises:
            TypeError: `tx` is no session.
            ArgumentsMistaken: The arguments do not fit the task.
        """
        session = session_of(tx, f"{self._task.name}.after_commit")
        run_after_commit(session, self.call(*args, **kwargs))


class Task(Sending[P]):
    """A function that can be enqueued, made by `@task`."""

    def __init__(self, function: Function, *, name: str | None, terms: TaskTerms) -> None:
        super().__init__(self, JobOptions(unique=terms.unique))
        _refuse_unrun(name or repr(function), function)
        self.function = function
        """The function itself, to be called directly, as in a test."""
        self.name = _checked_name(_name(function) if name is None else name)
        self.__module__ = getattr(function, "__module__", None) or "builtins"
        self.__qualname__ = str(getattr(function, "__qualname__", self.name))
        self.__doc__, self.__wrapped__ = function.__doc__, function
        self.terms = terms
        self.dead_handler: Function | None = None
        check(self.name, function, terms)

    def __repr__(self) -> str:
        return f"Task({self.name!r})"

    def __reduce__(self) -> str:
        # Pickled by its name, so that a worker process finds its own copy.
        return self.__qualname__

    @property
    def is_importable(self) -> bool:
        """Whether another process finds the task under the name of its function."""
        found: object = sys.modules.get(self.__module__)
        for part in self.__qualname__.split("."):
            found = getattr(found, part, None)
        return found is self

    @cached_property
    def signature(self) -> Signature:
        """The parameters, read late: annotations may name what is defined after the task.

        Raises:
            TypeError: A parameter cannot be stored, or is not available where the task runs.
        """
        signature = signature_of(self.name, self.function)
        _check_transaction(self.name, signature, self.terms.runs_on)
        if self.terms.limit is not None:
            _check_limit(self.name, self.terms.limit, self._named(signature))
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
        expires: timedelta | datetime | None = None,
    ) -> Sending[P]:
        """Return the task with other options for one job.

            await remind.options(delay=timedelta(days=1)).enqueue(tx, order_id=order.id)

        The job runs no earlier than `run_at`, or `delay` from now; a delay beyond the end of the
        calendar waits until that end. While a job of this task with the same `unique_key` is
        unfinished (with `unique="queued"`: has not begun), enqueueing returns that job and adds
        none. `expires` is a time, or a duration from when the job is due: a job that has not
        begun by then does not run, and is dead with the code `EXPIRED`.

        Raises:
            ValueError: An option is out of its range; the text names it.
            TypeError: An option is of another type, such as a number in place of a duration.
        """
        if unique_key is not None:
            _check_key(unique_key)
        check_turn(
            self.terms.priority if priority is None else priority,
            self.terms.queue if queue is None else queue,
        )
        chosen = JobOptions(
            run_at=_moment(delay, run_at),
            unique_key=unique_key,
            unique=self.terms.unique or ("unfinished" if unique_key else None),
            priority=priority,
            queue=queue,
            expires=_expiry(expires, _moment(delay, run_at)),
        )
        return Sending(self, chosen)

    def limit_key(self, arguments: str) -> str | None:
        """Return the key that a job with these stored arguments counts under."""
        limit, signature = self.terms.limit, self.signature
        if limit is None:
            return None
        named = self._named(signature)
        defaults = {name: it.default for name, it in named.items() if it.default is not it.empty}
        return limit.key_of(self.name, {**defaults, **signature.load(arguments)})

    def _named(self, signature: Signature) -> dict[str, inspect.Parameter]:
        """Return the parameters that are arguments of a job."""
        parameters = inspect.signature(self.function).parameters
        return {name: it for name, it in parameters.items() if name not in signature.injected}

    def on_dead(self, handler: F) -> F:
        """Call `handler` in the transaction that records that a job is dead.

        The handler takes the arguments of the task, and `tx` and `job` if it names them.

        Raises:
            TypeError: The handler cannot be called, or a call of it would not run it.
        """
        _refuse_unrun(f"{self.name}.on_dead", handler)
        self.dead_handler = handler
        return handler


class _Declare:
    """The decorator of `task(...)`; `job` and `tx` are no arguments of a job."""

    def __init__(self, name: str | None, terms: Callable[[Function], TaskTerms]) -> None:
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
    runs_on: RunsOn | None = None,
    **options: Unpack[TaskOptions],
) -> _Declare: ...
@shows_keywords(defaults_of(TaskTerms, without=["runs_on"]))
def task(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    runs_on: RunsOn | None = None,
    **options: Any,
) -> Any:
    """Declare a function as a task.

        @task
        async def remind(order_id: str) -> None: ...

        @task(attempts=3, timeout=timedelta(seconds=30))
        async def send(job: Job, order_id: str) -> None: ...

    Args:
        function: The function, where `@task` is written without keywords.
        name: The name that the jobs are stored under: module and function unless given. Keep
            the name when the function moves.
        runs_on: `"loop"` for coroutines, `"thread"` for functions that wait, `"cpu"` for
            functions that compute: these run in a process of their own. `"loop"` for an
            `async def` and `"thread"` for a `def` unless given.
        options: The options of `TaskOptions`.

    Raises:
        ValueError: An option is out of its range; the text names it.
        TypeError: There is no such option, or the function cannot run where `runs_on` says.
    """
    refuse_unknown("task()", options, ["name", *defaults_of(TaskTerms)])

    def resolve(declared: Function) -> TaskTerms:
        return TaskTerms(runs_on=runs_on or _natural(declared), **options)

    declare = _Declare(name, resolve)
    if function is None:
        return declare
    if not callable(function):
        raise TypeError(f"@task takes a function, or keywords only: @task(name={function!r}).")
    return declare(function)


def _natural(function: Function) -> RunsOn:
    return "loop" if is_async(function) else "thread"


def _name(function: Function) -> str:
    """Return the name that a function gives its jobs, or an invalid one."""
    qualname: object = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{qualname}" if isinstance(qualname, str) else ""


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"A task's name is a text, and not {name!r}: @task(name='...').")
    if not _NAME.fullmatch(name) or "<locals>" in name:
        raise ValueError(
            f"A task's jobs are stored under its name, and {name!r} is none that a worker "
            f"could find. Define it at module level, or give it one: @task(name='...')."
        )
    return name


def _refuse_unrun(name: str, function: Function) -> None:
    """Refuse a function whose call would not run it, or that cannot be called."""
    if inspect.isclass(function) or not callable(function):
        raise TypeError(
            f"{name}: {function!r} is no function. Write a `def` or an `async def`, or give an "
            "object that has `__call__`."
        )
    if (kind := unrun(function)) is not None:
        raise TypeError(
            f"{name} is a {kind}, because it has a `yield`: calling it does nothing. Write it "
            "without, and have it do its work to the end."
        )


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"unique_key is {key!r}, and has to be a text: unique_key='a'.")
    if not _UNIQUE_KEY.fullmatch(key):
        most = insert.MAX_UNIQUE_KEY
        raise ValueError(f"unique_key has 1 to {most} characters, and U+0000 is none of them.")


def _check_transaction(name: str, signature: Signature, runs_on: RunsOn) -> None:
    wanted: dict[str, RunsOn] = {"tx": "loop", "session": "thread"}
    places = {wanted[it] for it in signature.injected.values() if it in wanted}
    if places <= {runs_on}:
        return
    if places == {"loop"} and runs_on == "thread":
        raise TypeError(
            f"{name} runs on a thread and takes an AsyncSession, which stays on the event loop. "
            "Write `async def`, or `tx: Session` (of sqlalchemy.orm)."
        )
    if places == {"thread"} and runs_on == "loop":
        raise TypeError(
            f"{name} runs on the event loop and takes a Session, which would hold it up. Write "
            "`tx: AsyncSession` and await its methods, or `def`."
        )
    raise TypeError(
        f"{name} runs on a {runs_on} and takes a transaction, which stays with the event loop and "
        "its threads. Write `async def`, and call the slow part with `await job.in_process(...)`."
    )


def _check_limit(name: str, limit: Limit, named: Iterable[str]) -> None:
    if unknown := limit.unknown_of(tuple(named)):
        raise TypeError(
            f"{name}: the key of its limit takes {', '.join(unknown)}, and the arguments of the "
            f"task are {', '.join(named) or 'none'}. Name one of these: key=lambda ..."
        )


def _expiry(
    expires: timedelta | datetime | None, run_at: datetime | None
) -> timedelta | datetime | None:
    if expires is None:
        return None
    if not isinstance(expires, datetime):
        example = "timedelta(minutes=10)"
        return duration(expires, "expires", example=example, above=timedelta(0))
    until = calendar.within(moment(expires, "expires"))
    if until <= (run_at or clock.now()):
        raise ValueError("expires is before the job is due: nobody could ever run it.")
    return until


def _moment(delay: timedelta | None, run_at: datetime | None) -> datetime | None:
    if delay is not None and run_at is not None:
        raise ValueError("Give delay or run_at, not both.")
    if delay is not None:
        wait = duration(delay, "delay", example="timedelta(hours=1)")
        return calendar.later(clock.now(), wait)
    return None if run_at is None else calendar.within(moment(run_at, "run_at"))


def _required(signature: Signature) -> bool:
    try:
        signature.dump((), {})
    except TypeError:
        return True
    return False
