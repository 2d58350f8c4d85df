"""`Database`: the part that owns the engines and lends units of work."""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, cast
from weakref import WeakSet

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._internal.durations import check_duration, check_size
from roadworthy.database.crossing import Crossing
from roadworthy.database.engines import EngineOptions, Engines
from roadworthy.database.outer_transaction import within_outer
from roadworthy.database.postgresql.arguments import terms_of
from roadworthy.database.postgresql.replica import lag
from roadworthy.database.sqlite.file import Synchronous
from roadworthy.database.terms import check_unit
from roadworthy.database.thread_slots import ThreadSlots
from roadworthy.database.unit import Unit, raise_for, unit_of
from roadworthy.database.urls import Address, address_of
from roadworthy.problems import ServiceUnavailable

__all__ = ["Database"]

_log = logging.getLogger("roadworthy.database")


class Database:
    """One SQLite file or one PostgreSQL database, which lends units of work.

    A `Database` is a part: `lifespan(Database("sqlite:///app.db"))` opens and closes it, and so
    does `async with`. It can be opened again after it was closed.

    Args:
        url: `sqlite:///file.db` or `postgresql://...`; a driver may be named
            (`postgresql+psycopg://...`).
        pool_size: How many units may use the database at a time; on SQLite how many may read,
            while writers take turns.
        max_wait: How long a unit waits for a connection before the answer is 503.
        statement_timeout: How long a statement may run before the answer is 503.
        drain: How long closing waits for open units.
        session_class: The class of `Tx` and `Read`, or of `SyncTx` and `SyncRead`: SQLModel has
            classes of its own.
        synchronous: `"normal"` lets SQLite acknowledge a commit that a power failure may undo.
        echo: Whether SQLAlchemy logs each statement.
        connect_args: Arguments for the driver.
        replica: The URL of a replica of the PostgreSQL database. `Read` goes there, and may miss
            the latest commits; `ReadLatest` and everything else goes to the primary. If the
            replica cannot be reached, `Read` goes to the primary, too.
        behind_pooler: Whether the URL leads to PgBouncer with transaction pooling.
        name: The name of this database, where an application has several.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 10,
        max_wait: timedelta = timedelta(seconds=5),
        statement_timeout: timedelta = timedelta(seconds=30),
        drain: timedelta = timedelta(seconds=10),
        session_class: type[AsyncSession] | type[Session] = AsyncSession,
        synchronous: Synchronous = "full",
        echo: bool = False,
        connect_args: Mapping[str, Any] | None = None,
        replica: str | URL | None = None,
        behind_pooler: bool = False,
        name: str | None = None,
    ) -> None:
        check_duration("max_wait", max_wait, above_zero=True)
        check_duration("statement_timeout", statement_timeout)
        check_duration("drain", drain)
        check_size("pool_size", pool_size)
        given = cast("object", session_class)  # the value may be no class: see `check_unit`
        is_sync = isinstance(given, type) and issubclass(given, Session)
        check_unit(session=session_class, kind=Session if is_sync else AsyncSession)
        primary = address_of(url)
        terms = partial(
            terms_of,
            max_wait=max_wait,
            statement_timeout=statement_timeout,
            connect_args=connect_args or {},
            behind_pooler=behind_pooler,
        )
        self.url = primary.url
        """The URL with the driver's name and without options; as text it hides the password."""
        self.name = name
        """The name of this database, where an application has several."""
        self._options = EngineOptions(
            pool_size=min(pool_size, int(primary.options.get("connection_limit", pool_size))),
            max_wait=max_wait,
            statement_timeout=statement_timeout,
            synchronous=synchronous,
            connect_args=connect_args or {},
            echo=echo,
            primary=terms(primary) if primary.is_postgresql else None,
            replica=None if replica is None else terms(_replica(primary, replica), replica=True),
        )
        self._drain = drain.total_seconds()
        self._session_class, self._sync_session_class = _both(session_class)
        self._engines: Engines | None = None
        self._inner: int | None = None
        """How often the database was opened within `rolled_back`; None outside of it."""
        self._units: WeakSet[Unit] = WeakSet()
        self._closed = asyncio.Event()
        """Set whenever a unit has been closed."""

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    async def __aenter__(self) -> "Database":
        if self._inner is not None:
            self._inner += 1
            return self
        if self._engines is not None:
            raise RuntimeError("This Database is open already. Make one for each application.")
        engines = Engines(self.url, self._options, name=self.name)
        await engines.open()
        self._engines = engines
        self._closed = asyncio.Event()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        engines = self._opened
        await self._end_units()
        if self._inner:
            self._inner -= 1
            return
        self._engines = None
        await engines.close()

    @property
    def engine(self) -> AsyncEngine:
        """Return the engine for writing."""
        return self._opened.write

    @property
    def read_engine(self) -> AsyncEngine:
        """Return the engine for reading, which refuses writes."""
        return self._opened.read

    def begin(
        self, *, isolation: str | None = None, session: type[AsyncSession] | None = None
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a unit of work: commit on leaving normally, roll back on anything else.

        For streams, jobs and scripts; a route takes `tx: Tx`. No connection is taken before the
        first statement.

        Raises:
            Problem: The database refused something (409, 422, 503, 507); raised by a statement
                or on leaving.
            ValueError: `isolation` is no level of PostgreSQL.
            TypeError: `session` is no class of sessions.
        """
        check_unit(isolation=isolation, session=session)
        return self._writing(_caller(), isolation, session)

    @property
    def can_listen(self) -> bool:
        """Return whether a connection can listen for notices: not through a pooler."""
        return self._options.primary is None or not self._options.primary.behind_pooler

    def read(
        self, *, session: type[AsyncSession] | None = None, replica: bool = False
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a unit of work that only reads; on SQLite, it sees a snapshot.

        `replica=True` reads from the replica, if there is one: the latest commits may be missing
        there.

        Raises:
            Problem: The database is away (503); raised by a statement.
        """
        check_unit(session=session)
        return self._reading(_caller(), session, replica)

    def begin_sync(
        self, *, isolation: str | None = None, session: type[Session] | None = None
    ) -> AbstractContextManager[Session]:
        """Open a unit of work in a thread: like `begin`, with a `Session`.

        For streams, background tasks and other functions that are no `async def`; a route takes
        `tx: SyncTx`. The statements run on the event loop that opened the database.

        Raises:
            Problem: The database refused something (409, 422, 503, 507); raised by a statement
                or on leaving.
            RuntimeError: This is the event loop itself.
        """
        check_unit(isolation=isolation, session=session, kind=Session)
        place = _caller()
        return self._in_thread(
            lambda: self.open_unit(place, isolation=isolation, session=session), commits=True
        )

    def read_sync(
        self, *, session: type[Session] | None = None, replica: bool = False
    ) -> AbstractContextManager[Session]:
        """Open a unit of work in a thread that only reads: like `read`, with a `Session`.

        Raises:
            Problem: The database is away (503); raised by a statement.
            RuntimeError: This is the event loop itself.
        """
        check_unit(session=session, kind=Session)
        place = _caller()
        return self._in_thread(
            lambda: self.open_unit(place, read_only=True, session=session, replica=replica),
            commits=False,
        )

    def lend_to_threads(self, tx: AsyncSession) -> AbstractContextManager[Session]:
        """Lend the session behind `tx` to a thread, in the same transaction.

            with db.lend_to_threads(tx) as session:
                await asyncio.to_thread(work, session)

        Raises:
            RuntimeError: `tx` is not the session of an open unit of work.
        """
        return unit_of(tx, "lend_to_threads").lend_to_threads()

    async def ping(self, *, writes: bool = False) -> None:
        """Check that the database answers, on a connection of its own.

        `writes=True` also checks that the node takes writes: after a failover, a server may
        answer and be read-only. On SQLite it checks that this process may still write, which it
        may not after a failed sync.

        Raises:
            Problem: 503. The database does not answer, or takes no writes.
        """
        async with self.apart() as connection:
            if not writes:
                await connection.execute(text("SELECT 1"))
            elif not await _takes_writes(connection, self._opened):
                raise ServiceUnavailable

    async def ping_replica(self, *, max_lag: timedelta = timedelta(seconds=10)) -> str | None:
        """Return a reason if the replica is late, or is no replica: a check for `Health`.

        Raises:
            Problem: 503. The replica does not answer; reads go to the primary meanwhile.
        """
        replica = self._opened.replica
        if replica is None:
            return "there is no replica"
        try:
            seconds = await lag(replica.lone)
        except Exception as error:
            raise_for(error)
            raise
        if seconds is None:
            return "what is read as a replica is none"
        late = seconds > max_lag.total_seconds()
        return f"the replica is {seconds:.0f} s late" if late else None

    @asynccontextmanager
    async def apart(self) -> AsyncGenerator[AsyncConnection]:
        """Lend a connection from outside the pool; nothing is committed.

        For checks of health: a busy pool is no failure of the database.

        Raises:
            Problem: 503. The database does not answer.
        """
        try:
            async with self._opened.lone.connect() as connection:
                yield connection
        except Exception as error:
            raise_for(error)
            raise

    @asynccontextmanager
    async def rolled_back(self) -> AsyncGenerator["Database"]:
        """Undo all changes at the end: see `roadworthy.testing`.

        Raises:
            RuntimeError: The database is in this mode already, or a unit of work is open.
        """
        await self._wait_for(self._units, self._options.max_wait.total_seconds())  # units of jobs
        if self._inner is not None or self._units:
            raise RuntimeError(
                "rolled_back begins where no unit of work is open, and not within another one. "
                "Leave `async with db.begin()` before."
            )
        async with AsyncExitStack() as stack:
            if self._engines is None:
                await stack.enter_async_context(self)
            engines = self._opened
            self._engines = await stack.enter_async_context(within_outer(engines))
            self._inner = 0
            try:
                yield self
            finally:
                # Units that begin now, of jobs that still run, are no part of the test any more.
                self._inner, self._engines = None, engines
                await self._end_units()

    @property
    def thread_slots(self) -> ThreadSlots:
        """Return the slots of units of work in threads: each takes one before its thread."""
        return self._opened.thread_slots

    def open_unit(
        self,
        place: str | Callable[[], str],
        *,
        read_only: bool = False,
        replica: bool = False,
        isolation: str | None = None,
        session: type[AsyncSession] | type[Session] | None = None,
    ) -> Unit:
        """Open a unit that the caller ends; `begin`, `read`, `Tx` and `Read` use this."""
        engines = self._opened
        engine = engines.read if read_only else engines.write
        if read_only and replica and engines.replica and engines.replica.may_be_asked():
            engine = engines.replica.engine
        if isolation is not None and engines.sqlite is None:
            engine = engine.execution_options(isolation_level=isolation)
        kind, sync_kind = self._kinds(session)
        unit = Unit(
            kind,
            engines.crossing.open_for(engine),
            sync_kind=sync_kind,
            place=place,
            when_closed=self._forget,
            read_only=read_only,
        )
        self._units.add(unit)
        return unit

    @property
    def _opened(self) -> Engines:
        if self._engines is None:
            raise RuntimeError(
                "This Database is not open. Put it into the application's lifespan: "
                "FastAPI(lifespan=lifespan(db)); in a script or a test: `async with db:`."
            )
        return self._engines

    def _kinds(
        self, asked: type[AsyncSession] | type[Session] | None
    ) -> tuple[type[AsyncSession], type[Session]]:
        own = self._session_class, self._sync_session_class
        if asked is None or issubclass(own[0], asked) or issubclass(own[1], asked):
            return own
        return _both(asked)

    def _forget(self, unit: Unit) -> None:
        self._units.discard(unit)
        self._closed.set()

    async def _end_units(self) -> None:
        open_now = WeakSet(self._units)
        await self._wait_for(open_now, self._drain)
        for unit in [unit for unit in open_now if unit in self._units]:
            _log.error("The unit of work opened by %s was still open at the end.", unit.place)
            await unit.abandon(thread_may_run=True)

    async def _wait_for(self, units: WeakSet[Unit], seconds: float) -> None:
        """Wait until these units are closed, at most for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(unit in self._units for unit in units):
                    self._closed.clear()
                    await self._closed.wait()

    @asynccontextmanager
    async def _writing(
        self, place: str, isolation: str | None, session: type[AsyncSession] | None
    ) -> AsyncGenerator[AsyncSession]:
        unit = self.open_unit(place, isolation=isolation, session=session)
        async with unit.lend() as lent:
            yield lent
        await unit.commit()
        await _let_others_in()

    @contextmanager
    def _in_thread(self, open_unit: Callable[[], Unit], *, commits: bool) -> Generator[Session]:
        engines = self._opened
        engines.crossing.run(engines.thread_slots.enter_from_thread)
        try:
            with self._lent_in_thread(open_unit(), engines.crossing, commits=commits) as session:
                yield session
        finally:
            engines.crossing.soon(engines.thread_slots.leave)

    @contextmanager
    def _lent_in_thread(
        self, unit: Unit, crossing: Crossing, *, commits: bool
    ) -> Generator[Session]:
        with unit.lend_to_threads() as session:
            try:
                yield session
            except BaseException as error:
                crossing.run(unit.abandon, clean_up=True)
                raise_for(error)
                raise
            crossing.run(unit.commit if commits else unit.abandon)

    @asynccontextmanager
    async def _reading(
        self, place: str, session: type[AsyncSession] | None, replica: bool
    ) -> AsyncGenerator[AsyncSession]:
        unit = self.open_unit(place, read_only=True, session=session, replica=replica)
        async with unit.lend() as lent:
            yield lent
        await unit.abandon()
        await _let_others_in()


def _both(
    kind: type[AsyncSession] | type[Session],
) -> tuple[type[AsyncSession], type[Session]]:
    """Return the async and the sync session class, made of the given one."""
    if issubclass(kind, AsyncSession):
        return kind, kind.sync_session_class
    return AsyncSession, kind


def _replica(primary: Address, url: str | URL) -> Address:
    found = address_of(url)
    if not primary.is_postgresql or found.url.drivername != primary.url.drivername:
        raise ValueError(
            "A replica is of a PostgreSQL database, with the same driver: "
            f"{primary.url.drivername} and {found.url.drivername} do not go together."
        )
    return found


async def _takes_writes(connection: AsyncConnection, engines: Engines) -> bool:
    if engines.sqlite is not None:
        await connection.execute(text("SELECT 1"))
        return engines.sqlite.may_write
    return bool(await connection.scalar(text("SHOW transaction_read_only")) == "off")


async def _let_others_in() -> None:
    """Let a waiting unit take the connection before the next unit of a loop does."""
    await asyncio.sleep(0)


def _caller() -> str:
    here = inspect.currentframe()
    frame = here and here.f_back and here.f_back.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown"
