"""`Jobs`: the part that runs enqueued jobs, or leaves them to another process."""

# pyright: reportUnnecessaryIsInstance=false

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from roadworthy._internal.durations import duration
from roadworthy._sqlalchemy.missing import check_tables
from roadworthy.jobs.engine import Engine
from roadworthy.jobs.engines.embedded import Embedded
from roadworthy.jobs.table import notices, signals
from roadworthy.jobs.table.call import Call
from roadworthy.jobs.table.tables import metadata
from roadworthy.jobs.task import Task
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.context import Hook, JobsContext, Units, lender, units_of
from roadworthy.jobs.worker.unstored import Unstored

__all__ = ["Jobs"]

K = TypeVar("K")

_NOTICE = 0.02
"""Seconds between two notices to other processes; one notice serves many jobs."""


class Jobs:
    """Run the jobs of `tasks`: a part, opened after the database and closed before it.

        db = Database("sqlite:///app.db")
        jobs = Jobs(db, tasks=[send_confirmation, make_invoice], parts=[mailer])
        app = FastAPI(lifespan=lifespan(db, mailer, jobs))

    Args:
        database: A `Database`, an `AsyncEngine` of SQLAlchemy, or anything that has `engine` and
            `begin()`.
        tasks: The tasks whose jobs this process may run.
        parts: Parts that tasks find, as in `job.find(Mailer)`.
        engine: Runs the jobs; `Embedded()`, in this process, unless given.
        run: With False nothing runs here, and jobs wait for a worker.
        on_failure: Called after every failed attempt, for Sentry or a webhook.
        on_dead: Called when a job has failed for good.
        keep: How long jobs that succeeded stay in the table.
        keep_dead: How long dead jobs stay in the table.
        version: The version of the service, which operators see beside each worker: `"1.4.2"`.
    """

    def __init__(
        self,
        database: Units | AsyncEngine,
        *,
        tasks: Iterable[Task[...]],
        parts: Iterable[object] = (),
        engine: Engine | None = None,
        run: bool = True,
        on_failure: Hook | None = None,
        on_dead: Hook | None = None,
        keep: timedelta = timedelta(days=7),
        keep_dead: timedelta = timedelta(days=90),
        version: str | None = None,
    ) -> None:
        duration(keep, "keep", example="timedelta(days=7)", least=timedelta(0))
        duration(keep_dead, "keep_dead", example="timedelta(days=90)", least=timedelta(0))
        tasks, parts = _tasks(tasks), _listed(parts, "parts=[Mailer(...)]")
        _check_rest(engine, on_failure=on_failure, on_dead=on_dead)
        _check_limits(tasks, keep)
        self._work = JobsContext(
            units=units_of(database),
            tasks=_by_name(tasks, units_of(database)),
            parts=parts,
            on_failure=on_failure,
            on_dead=on_dead,
            keep=keep,
            keep_dead=keep_dead,
            version=version,
        )
        self._to_run: Engine = engine or Embedded()
        self._engine: Engine | None = self._to_run if run else None
        self._unstored = Unstored(self._work)
        self._to_tell = set[signals.Notice]()
        self._told = asyncio.Event()
        self._notifying: asyncio.Task[None] | None = None

    @property
    def tasks(self) -> tuple[Task[...], ...]:
        """The tasks whose jobs this process may run."""
        return tuple(self._work.tasks.values())

    @property
    def work(self) -> JobsContext:
        """The database, tasks, parts and hooks, for engines."""
        return self._work

    def with_engine(self, engine: Engine | None = None) -> "Jobs":
        """Return a `Jobs` like this one that runs jobs, for a worker.

        A server may have `run=False`; the returned `Jobs` has True. Its jobs run by `engine`, or
        else by the engine of this `Jobs`.
        """
        work = self._work
        return Jobs(
            work.units,
            tasks=self.tasks,
            parts=work.parts,
            engine=engine or self._to_run,
            on_failure=work.on_failure,
            on_dead=work.on_dead,
            keep=work.keep,
            keep_dead=work.keep_dead,
            version=work.version,
        )

    @contextmanager
    def override(self, kind: type[K], part: object) -> Generator[None]:
        """Let tasks find `part` where they ask for a `kind`, within the block: for tests.

            with jobs.override(Mailer, FakeMailer()):
                await Worker(jobs).run_due()

        Raises:
            LookupError: There is no part of that type, so no task could ask for one.
        """
        self._work.find(kind)
        before = dict(self._work.overrides)
        self._work.overrides[kind] = part
        try:
            yield
        finally:
            self._work.overrides.clear()
            self._work.overrides.update(before)

    async def ping(self) -> None:
        """Check that the engine works: a check for `Health`.

            health.add("jobs", jobs.ping, critical=False, shared=False)

        Raises:
            Exception: The broker of the engine is away. With `Embedded`, NoHeartbeat: the
                heartbeat has not reached the table for the time of a lease.
        """
        for name in ("ping", "beats"):
            if (ask := getattr(self._engine, name, None)) is not None:
                await ask()

    async def __aenter__(self) -> Self:
        """Begin to run jobs.

        Raises:
            RuntimeError: The database has no table of jobs; the text says what to do.
        """
        await check_tables(self._work.units.engine, metadata, migration="jobs")
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        if self._engine is not None:
            await self._engine.start(self._work)
        signals.listen(self)
        if self._work.units.engine.dialect.name == "postgresql":
            self._notifying = self._loop.create_task(self._notify(), context=contextvars.Context())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signals.unlisten(self)
        if self._notifying is not None:
            self._notifying.cancel()
            await asyncio.gather(self._notifying, return_exceptions=True)
        if self._engine is not None:
            await self._engine.stop()
        await self._unstored.stop()

    def wake(self) -> None:
        """Look for jobs now. May be called from any thread."""
        self._on_loop(self._wake)

    def recheck(self) -> None:
        """Check now whether a running job was cancelled. May be called from any thread."""
        self._on_loop(self._recheck)

    def knows(self, call: Call) -> bool:
        """Return whether a task is one of the tasks of this `Jobs`."""
        return self._work.tasks.get(call.task.name) is call.task

    def serves(self, connection: Connection) -> bool:
        """Return whether the jobs of this part are in the database of a connection."""
        return _place(connection.engine.url) == _place(self._work.units.engine.url)

    def run_unstored(self, call: Call) -> None:
        """Run a task once, now, without a row. May be called from any thread."""
        self._on_loop(lambda: self._unstored.start(call))

    def _on_loop(self, do: Callable[[], object]) -> None:
        if threading.get_ident() == self._thread:
            do()
        else:
            self._loop.call_soon_threadsafe(do)

    def _wake(self) -> None:
        if self._engine is None or not self._engine.has_room:
            self._tell("jobs")
        if self._engine is not None:
            self._engine.wake()

    def _recheck(self) -> None:
        self._tell("stop")
        if self._engine is not None:
            self._engine.recheck()

    def _tell(self, notice: signals.Notice) -> None:
        self._to_tell.add(notice)
        self._told.set()

    async def _notify(self) -> None:
        """Notify other processes of jobs, outside of any transaction of users."""
        while True:
            await self._told.wait()
            self._told.clear()
            while self._to_tell:
                try:
                    await notices.notify(self._work.units.engine, self._to_tell.pop())
                except Exception as error:  # any error of the driver: the others look anyway
                    logs.notify_failed(error)
            await asyncio.sleep(_NOTICE)


def _place(url: URL) -> tuple[str, str | None, int | None, str | None]:
    """Return the database that a URL leads to, whatever the driver and the user."""
    return url.get_backend_name(), url.host, url.port, url.database


def _listed(given: Iterable[K], write: str) -> tuple[K, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"Jobs takes a list, and not {given!r}: {write}.")
    return tuple(given)


def _tasks(given: Iterable[Task[...]]) -> tuple[Task[...], ...]:
    tasks = _listed(given, "tasks=[send_confirmation]")
    others: list[object] = [one for one in tasks if not _is_task(one)]
    if others:
        raise TypeError(
            f"Jobs(tasks=[...]) takes tasks, and not {others[0]!r}: write `@task` of "
            "roadworthy.jobs over its function, and pass what that makes, without options."
        )
    return tasks


def _is_task(given: object) -> bool:
    return isinstance(given, Task)


def _check_rest(engine: object, **hooks: object) -> None:
    for name in ("start", "stop", "wake", "recheck") if engine is not None else ():
        if inspect.isclass(engine) or not callable(getattr(engine, name, None)):
            raise TypeError(f"engine is {engine!r}, and has to be an Engine: engine=Embedded().")
    for name, hook in hooks.items():
        if hook is not None and not callable(hook):
            raise TypeError(f"{name} is {hook!r}, and has to be a function of a FailedAttempt.")


def _check_limits(tasks: Iterable[Task[...]], keep: timedelta) -> None:
    for task in tasks:
        limit = task.terms.limit
        if limit is not None and limit.rate is not None and limit.per > keep:
            raise ValueError(
                f"{task.name}: its limit counts what began in the last {limit.per}, and "
                f"Jobs(keep={keep!r}) forgets it before. Keep jobs for longer."
            )


def _by_name(tasks: Iterable[Task[...]], units: Units) -> dict[str, Task[...]]:
    named: dict[str, Task[...]] = {}
    for task in tasks:
        if named.setdefault(task.name, task) is not task:
            raise ValueError(f"Two tasks are called {task.name}: give one @task(name='...').")
        if task.signature.takes_session:  # read now, so that a mistake shows at the start
            lender(units, task.name)
    return named
