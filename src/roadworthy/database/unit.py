"""`Unit`: one unit of work, from the session it lends to the last callback."""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias, cast

from anyio.to_thread import run_sync
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from roadworthy.database import metrics
from roadworthy.database.awaiting import check_awaited, telling_awaits
from roadworthy.database.crossing import Visits, on_event_loop
from roadworthy.database.errors import UnitClosed, problem_for

__all__ = ["Callback", "Unit", "on_commit", "raise_for", "unit_of"]

Callback: TypeAlias = Callable[[], Awaitable[object] | object]
"""A function or coroutine function without arguments, for `on_commit`."""

_log = logging.getLogger("roadworthy.database")

_KEY: Final = "roadworthy.unit"
_PATIENCE: Final = 5.0
"""Seconds that a rollback may take before the connection is thrown away."""


def on_commit(tx: AsyncSession | Session, callback: Callback) -> None:
    """Call `callback()` once, when what `tx` wrote is durable, before the response.

    `callback` is a function or a coroutine function. A function that was passed in a thread is
    called in a thread. If the unit rolls back, the callback is dropped. If the callback fails,
    the failure is logged, and the answer stays the same.

    Raises:
        RuntimeError: `tx` is not the session of an open unit of work.
    """
    unit = unit_of(tx, "on_commit")
    if isinstance(tx, Session) and not on_event_loop() and not iscoroutinefunction(callback):
        callback = partial(run_sync, callback)
    unit.callbacks.append(callback)


def unit_of(tx: AsyncSession | Session, function: str) -> "Unit":
    """Return the unit of work of a session, for a function that needs one.

    Raises:
        RuntimeError: The session is not that of an open unit of work.
    """
    unit = tx.info.get(_KEY)
    if not isinstance(unit, Unit):
        raise RuntimeError(  # noqa: TRY004 - the type is right, its origin is not
            f"{function} takes the session of a unit of work: a parameter of type Tx or SyncTx, "
            "`async with db.begin() as tx` or `with db.begin_sync() as tx`."
        )
    if unit.closed:
        raise UnitClosed(unit.place)
    return unit


class Unit:
    """A session that is open from its first use until the unit ends."""

    __slots__ = (
        "__weakref__",
        "_place",
        "_session",
        "_when_closed",
        "_writes",
        "callbacks",
        "closed",
        "visits",
    )

    def __init__(
        self,
        kind: type[AsyncSession],
        engine: AsyncEngine,
        *,
        sync_kind: type[Session],
        place: str | Callable[[], str],
        when_closed: "Callable[[Unit], None]",
        read_only: bool = False,
    ) -> None:
        self.callbacks: list[Callback] = []
        self.closed = False
        self.visits: Visits | None = None
        """The running statements of threads, if the session was lent to any."""
        self._place = place
        self._when_closed = when_closed
        self._writes = not read_only
        self._session: AsyncSession | None = telling_awaits(kind)(
            engine,
            sync_session_class=_closable(sync_kind),
            expire_on_commit=False,
            info={_KEY: self},
        )

    def __del__(self) -> None:
        if not self.closed:
            _log.error("The unit of work opened by %s was never closed.", self.place)

    @property
    def place(self) -> str:
        """The place that opened the unit: a route, or file:line."""
        return self._place if isinstance(self._place, str) else self._place()

    @property
    def session(self) -> AsyncSession:
        """The session of the unit."""
        if self._session is None:
            raise UnitClosed(self.place)
        return self._session

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[AsyncSession]:
        """Lend the session; an exception rolls back, and is translated for clients.

        Raises:
            Problem: The database refused something (409, 422, 503, 507).
        """
        try:
            yield self.session
        except BaseException as error:
            await self.abandon(thread_may_run=isinstance(error, asyncio.CancelledError))
            raise_for(error)
            raise

    @contextmanager
    def lend_to_threads(self) -> Generator[Session]:
        """Lend the session to threads, one after another; `abandon` can cut them off."""
        self.visits = self.visits or Visits()
        with self.visits.counted():
            yield self.session.sync_session

    async def commit(self) -> None:
        """Commit, close the session and run the `on_commit` callbacks.

        Raises:
            Problem: The database refused the commit; nothing was committed.
            StatementFailed: A statement had failed before, and its error was swallowed.
            Unawaited: A method of the session was called and not awaited.
        """
        used = self.session.in_transaction()
        try:
            check_awaited(self.session)
            await self.session.commit()
        except BaseException as error:
            await self._end_without_commit(used=used)
            raise_for(error)
            raise
        if used:
            metrics.ended("commit")
        await self.close()
        await self._call_back()

    async def abandon(self, *, thread_may_run: bool = False) -> None:
        """Roll back and close the session, in bounded time and without raising.

        With `thread_may_run=True`, a thread may still have the session: it can do nothing more
        with the session, and the connection is not used again.
        """
        if self._session is None:
            return
        if thread_may_run and self.visits is not None:
            self.closed = True
            await _to_its_end(self._cut(self.visits))
            return
        await self._end_without_commit(used=self._session.in_transaction())

    async def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        session, self._session = self._session, None
        if session is not None:
            try:
                await session.close()
            finally:
                self._ended()

    async def _end_without_commit(self, *, used: bool) -> None:
        if self._session is None:
            return
        if used and self._writes:
            metrics.ended("rollback")
        await _to_its_end(self._roll_back(self._session))

    async def _roll_back(self, session: AsyncSession) -> None:
        self._session = None
        try:
            async with asyncio.timeout(_PATIENCE):
                await session.close()
        except (exc.SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("A rollback failed; its connection is dropped.", exc_info=error)
            await _invalidate(session)
        except Exception as error:
            # Any error: it must not replace the one that the rollback is for.
            _log.exception("A rollback failed; its connection is dropped.", exc_info=error)
            await _invalidate(session)
        finally:
            self._ended()

    async def _cut(self, visits: Visits) -> None:
        session, self._session = self._session, None
        await visits.end()
        if session is not None:
            await _invalidate(session)
        if self._writes:
            metrics.ended("rollback")
        self._ended()

    def _ended(self) -> None:
        self.closed = True
        self._when_closed(self)

    async def _call_back(self) -> None:
        for callback in self.callbacks:
            try:
                result = callback()
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                # Any error: the change is committed.
                _log.error("A callback after a commit failed.", exc_info=error)


def raise_for(error: BaseException) -> None:
    """Raise the problem that an exception of the database means for clients, if any."""
    problem = problem_for(error)
    if problem is not None:
        raise problem from error


async def _invalidate(session: AsyncSession) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await session.invalidate()
    except Exception as error:
        # Any error: there is nothing left to try.
        _log.exception("A connection could not be dropped.", exc_info=error)


async def _to_its_end(work: Any) -> None:
    """Run clean-up to its end, even if this task is cancelled once more."""
    task = asyncio.ensure_future(work)
    _cleaning.add(task)
    task.add_done_callback(_cleaning.discard)
    await asyncio.shield(task)


_cleaning: set["asyncio.Future[Any]"] = set()
"""Clean-up tasks, which the event loop itself holds only weakly."""


_closable_classes: dict[type[Session], type[Session]] = {}


def _closable(kind: type[Session]) -> type[Session]:
    """Return a subclass of the session class that raises `UnitClosed` once closed."""
    if kind not in _closable_classes:
        _closable_classes[kind] = _make_closable(kind)
    return _closable_classes[kind]


def _make_closable(kind: type[Session]) -> type[Session]:

    def get_bind(self: Session, *args: Any, **kwargs: Any) -> Any:
        unit = cast("Unit", self.info[_KEY])
        if unit.closed:
            raise UnitClosed(unit.place)
        return kind.get_bind(self, *args, **kwargs)

    return type(kind.__name__, (kind,), {"get_bind": get_bind, "__doc__": kind.__doc__})
