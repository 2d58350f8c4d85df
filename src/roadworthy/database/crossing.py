"""`Crossing`: run the statements of a thread on the event loop, with the drivers.

The `Session` of a `def` route is SQLAlchemy's own. Only its connection differs: it sends each
statement to the event loop and waits for the rows. So both kinds of route share engines, pools,
drivers, the writer of SQLite, and one transaction where a request needs that. No thread waits for
another thread, and the deadlines and cancellations of the event loop hold for threads, too.
"""

# pyright: reportPrivateUsage=false

import asyncio
from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Lock
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Engine, exc
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn, in_greenlet

__all__ = ["Crossing", "Visits", "on_event_loop"]

T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds that a cancelled statement has to end."""
_PAUSE: Final = 0.05
"""Seconds that a thread has for SQLAlchemy's clean-up after a cancelled statement."""


class Visits:
    """The statements of one request's threads that run on the event loop."""

    def __init__(self) -> None:
        self.over = False
        """Whether the request has ended before its thread: then no statement may begin."""
        self._tasks: set[Task[Any]] = set()

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count the statements of all threads that are started within the block."""
        token = _VISITS.set(self)
        try:
            yield
        finally:
            # Closed in another context, as a test may, it is that one's own again anyhow.
            if _VISITS.get() is self:
                _VISITS.set(token.old_value if token.old_value is not token.MISSING else None)

    async def end(self) -> None:
        """Refuse new statements, cancel the running ones, and wait for their end."""
        self.over = True
        running = list(self._tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_PATIENCE)
            await asyncio.sleep(_PAUSE)

    def begin(self, task: Task[Any]) -> None:
        """Register a statement that begins."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_VISITS: ContextVar[Visits | None] = ContextVar("roadworthy.visits", default=None)


class Crossing:
    """Pass calls of threads to an event loop.

    Args:
        loop: The event loop that opened the database.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._connection_class = type(
            "Connection", (_Connection,), {"crossing": self, "__doc__": Connection.__doc__}
        )

    def open_for(self, engine: AsyncEngine) -> AsyncEngine:
        """Allow sessions on an engine to be used in threads, beside the event loop."""
        sync: Engine = engine.sync_engine
        sync._connection_cls = self._connection_class  # noqa: SLF001 - it has no public name
        return engine

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function of SQLAlchemy on the event loop, and wait for it.

        Raises:
            MissingGreenlet: This is the event loop, which may not wait; says what to write.
            CancelledError: The request of this thread was cancelled.
        """
        if in_greenlet():
            return function(*args, **kwargs)
        if on_event_loop():
            raise exc.MissingGreenlet(_ON_THE_LOOP)
        return self.run(lambda: greenlet_spawn(function, *args, **kwargs))

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function on the event loop, and do not wait for that."""
        with suppress(RuntimeError):  # the loop is closed, and nothing is left to do
            self._loop.call_soon_threadsafe(function)

    def run(self, make: Callable[[], Coroutine[Any, Any, T]], *, clean_up: bool = False) -> T:
        """Run a coroutine on the event loop, and wait for it in this thread.

        With `clean_up=True` it runs even if the request of this thread was cancelled.

        Raises:
            RuntimeError: This is the event loop, which may not wait; says what to write.
            CancelledError: The request of this thread was cancelled.
        """
        if on_event_loop():
            raise RuntimeError(_ON_THE_LOOP)
        visits = None if clean_up else _VISITS.get()

        async def visit() -> T:
            if visits is not None:
                if visits.over:
                    raise CancelledError(_OVER)
                task = asyncio.current_task()
                if task is not None:
                    visits.begin(task)
            return await make()

        answer = _Answer(self._loop, visit)
        self._loop.call_soon_threadsafe(answer.start)
        return cast("T", answer.wait())


class _Answer:
    """The result that a thread waits for, at half the cost of a future."""

    def __init__(
        self, loop: AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        self._loop, self._make = loop, make
        self._task: Task[Any] | None = None
        self._done = Lock()
        self._done.acquire()

    def start(self) -> None:
        self._task = self._loop.create_task(self._make())
        self._task.add_done_callback(self._settle)

    def wait(self) -> Any:
        self._done.acquire()
        task, self._task = self._task, None
        if task is None or task.cancelled():
            raise CancelledError(_OVER)
        return task.result()

    def _settle(self, _: Task[Any]) -> None:
        self._done.release()


class _Connection(Connection):
    """SQLAlchemy's connection, whose driver runs on the event loop also for threads."""

    crossing: Crossing

    def __init__(self, engine: Engine, *args: Any, **kwargs: Any) -> None:
        self.crossing.call(super().__init__, engine, *args, **kwargs)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return self._crossed(self.crossing.call(super().execute, *args, **kwargs))

    def scalar(self, *args: Any, **kwargs: Any) -> Any:
        return self.crossing.call(super().scalar, *args, **kwargs)

    def exec_driver_sql(self, *args: Any, **kwargs: Any) -> Any:
        return self._crossed(self.crossing.call(super().exec_driver_sql, *args, **kwargs))

    def execution_options(self, **options: Any) -> Any:
        return self._here_or_there(super().execution_options, **options)

    def get_isolation_level(self) -> Any:
        return self.crossing.call(super().get_isolation_level)

    def close(self) -> None:
        self._here_or_there(super().close)

    def invalidate(self, exception: BaseException | None = None) -> None:
        self._here_or_there(super().invalidate, exception)

    def _begin_impl(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        # Drivers begin with the first statement; that of a test sets a savepoint at once.
        if "do_begin" in vars(self.engine.dialect):
            self._here_or_there(super()._begin_impl, *args)
        else:
            super()._begin_impl(*args)

    def _rollback_impl(self) -> None:
        self._here_or_there(super()._rollback_impl)

    def _commit_impl(self) -> None:
        self._here_or_there(super()._commit_impl)

    def _here_or_there(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function here if it awaits nothing, else through the crossing."""
        if on_event_loop():
            return function(*args, **kwargs)
        return self.crossing.call(function, *args, **kwargs)

    def _crossed(self, result: Any) -> Any:
        """Return a result that fetches its other rows through the event loop."""
        if getattr(result.context, "_is_server_side", False) and not in_greenlet():
            result.cursor = _Cursor(self.crossing, result.cursor)
        return result


class _Cursor:
    """A server-side cursor that a thread fetches from."""

    def __init__(self, crossing: Crossing, cursor: Any) -> None:
        self._crossing, self._cursor = crossing, cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def fetchone(self) -> Any:
        return self._crossing.call(self._cursor.fetchone)

    def fetchmany(self, size: int | None = None) -> Any:
        return self._crossing.call(self._cursor.fetchmany, size)

    def fetchall(self) -> Any:
        return self._crossing.call(self._cursor.fetchall)

    def close(self) -> None:
        self._crossing.call(self._cursor.close)


def on_event_loop() -> bool:
    """Return whether this thread runs an event loop, which must not wait for itself."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_ON_THE_LOOP: Final = (
    "A statement was run on the event loop without an await. In an `async def`, a SyncTx or "
    "db.begin_sync() would hold up all other requests: take `tx: Tx` and `await` its methods, or "
    "write `def`. With a Tx it was an attribute that is loaded when it is read: load it with "
    "the statement, `.options(selectinload(...))`."
)
_OVER: Final = "The request of this thread was cancelled; nothing of it is committed."
