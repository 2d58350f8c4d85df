"""`Engines`: the SQLAlchemy engines of one database, for as long as it is open."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, NullPool, event, exc
from sqlalchemy.engine import URL, Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from roadworthy.database import metrics
from roadworthy.database.crossing import Crossing
from roadworthy.database.errors import StatementFailed
from roadworthy.database.postgresql import pooler
from roadworthy.database.postgresql.arguments import Terms, arguments_for
from roadworthy.database.postgresql.connecting import LonePool, WaitingPool
from roadworthy.database.postgresql.replica import Replica
from roadworthy.database.postgresql.stale_plans import run_stale_again
from roadworthy.database.postgresql.stale_sessions import watch_sessions
from roadworthy.database.sqlite.connections import connect_reader, connect_writer
from roadworthy.database.sqlite.file import Sqlite, Synchronous
from roadworthy.database.thread_slots import ThreadSlots

__all__ = ["EngineOptions", "Engines", "watch_transactions"]

T = TypeVar("T")

_FAILED: Final = "roadworthy.failed"
_MAX_WRITERS: Final = 256
"""The most write transactions that queue on SQLite, where they share one connection."""

_REPLICA_SECONDS: Final = 2.0
"""Seconds to wait for a connection to the replica before asking the primary."""
_CLOSING: Final = 2.0
"""Seconds that a server has to close all connections of a pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The arguments of `Database` that say how connections are made."""

    pool_size: int
    max_wait: timedelta
    statement_timeout: timedelta
    synchronous: Synchronous
    connect_args: Mapping[str, Any]
    echo: bool
    primary: Terms | None
    """Of PostgreSQL only."""
    replica: Terms | None


class Engines:
    """The engines for writing, for reading, and for a ping on a connection of its own."""

    write: AsyncEngine
    read: AsyncEngine
    lone: AsyncEngine

    def __init__(self, url: URL, options: EngineOptions, *, name: str | None = None) -> None:
        self.url, self.options, self._name = url, options, name
        self.sqlite: Sqlite | None = None
        self.replica: Replica | None = None
        self.crossing = Crossing(asyncio.get_running_loop())
        self.thread_slots = ThreadSlots(options.pool_size, seconds=options.max_wait.total_seconds())

    async def open(self) -> None:
        """Make the engines. SQLite's file is opened now, PostgreSQL at its first use.

        Raises:
            sqlite3.OperationalError: The file cannot be opened.
        """
        if self.options.primary is None:
            await self._open_sqlite()
        else:
            self._open_postgresql(self.options.primary)
        metrics.watch(self)

    async def close(self) -> None:
        """Close every connection that is not in use, and the writer."""
        metrics.forget(self)
        replica = () if self.replica is None else (self.replica.whole,)
        for engine in dict.fromkeys((self.read, self.write, self.lone, *replica)):
            with suppress(exc.SQLAlchemyError, OSError):
                await _dispose(engine)
        if self.sqlite is not None:
            await self.sqlite.close()

    def pools(self) -> Iterator[metrics.PoolState]:
        """Yield the state of each pool; writers of SQLite take turns on one connection."""
        yield self.thread_slots.state()
        if self.sqlite is not None:
            yield self.sqlite.turns()
        engines = [self.read] if self.replica is None else [self.read, self.replica.whole]
        for engine in engines:
            if isinstance(engine.pool, metrics.Pool):
                yield engine.pool.state()

    async def _open_sqlite(self) -> None:
        sqlite = self.sqlite = _sqlite(self.url, self.options)
        await sqlite.open()
        size = self.options.pool_size
        writers = max(size, _MAX_WRITERS)
        self.write = self._engine(pool_size=writers, async_creator=_creator(connect_writer, sqlite))
        if sqlite.in_memory:
            self.read = self.lone = self.write
            return
        reader = _creator(connect_reader, sqlite)
        self.read = self._engine(pool="read", pool_size=size, async_creator=reader)
        self.lone = create_async_engine(self.url, poolclass=NullPool, async_creator=reader)

    def _open_postgresql(self, terms: Terms) -> None:
        arguments = arguments_for(terms)
        size = self.options.pool_size
        self.write = self._engine(pool="main", pool_size=size, connect_args=arguments)
        self.read = self.write.execution_options(postgresql_readonly=True)
        self.lone = _lone(self.url, arguments)
        for engine in (self.write, self.lone):
            _prepare(engine, terms)
        if self.options.replica is not None:
            self.replica = self._replica(self.options.replica, arguments)

    def _replica(self, terms: Terms, primary: dict[str, Any]) -> Replica:
        arguments, url = arguments_for(terms), terms.address.url
        name = "timeout" if terms.address.driver == "asyncpg" else "connect_timeout"
        arguments[name] = min(arguments[name], _REPLICA_SECONDS)
        size = self.options.pool_size
        engine = self._engine(url, pool="replica", pool_size=size, connect_args=arguments)
        lone = _lone(url, arguments)
        # First the errors by which the driver reports a lost connection: the database is away.
        replica = Replica(engine, lone, primary=primary)
        for one in (engine, lone):
            _prepare(one, terms, replica=True)
        return replica

    def _engine(
        self,
        url: URL | None = None,
        *,
        pool: str | None = None,
        pool_size: int,
        **arguments: Any,
    ) -> AsyncEngine:
        engine = create_async_engine(
            url or self.url,
            poolclass=AsyncAdaptedQueuePool if pool is None else WaitingPool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self.options.max_wait.total_seconds(),
            echo=self.options.echo,
            hide_parameters=True,
            **arguments,
        )
        if isinstance(engine.pool, metrics.Pool) and pool is not None:
            engine.pool.label = pool if self._name is None else f"{self._name}.{pool}"
        _watch(engine)
        return engine


def watch_transactions(engine: Engine) -> None:
    """Refuse the commit of a transaction in which a statement has failed."""
    event.listen(engine, "commit", _refuse_after_failure)
    event.listen(engine, "begin", _forget_failure)
    event.listen(engine, "rollback_savepoint", _forget_failure)


async def _dispose(engine: AsyncEngine) -> None:
    """Close the connections of a pool, and cut off those whose server hangs."""
    if engine.dialect.name == "sqlite":
        await engine.dispose()
        return
    seconds = _CLOSING
    for _ in range(_idle(engine) + 1):
        # A driver would wait for ever for the server; cancelled, it drops the connection.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await engine.dispose()
                return
        seconds = 0


def _idle(engine: AsyncEngine) -> int:
    return engine.pool.checkedin() if isinstance(engine.pool, AsyncAdaptedQueuePool) else 0


def _sqlite(url: URL, options: EngineOptions) -> Sqlite:
    path = url.database or ":memory:"
    return Sqlite(
        path,
        uri=path.startswith("file:"),
        synchronous=options.synchronous,
        busy=options.max_wait,
        statement_timeout=options.statement_timeout,
        options=options.connect_args,
    )


def _creator(
    connect: Callable[[Sqlite], Awaitable[T]], sqlite: Sqlite
) -> Callable[..., Awaitable[T]]:
    """Return an `async_creator` for SQLAlchemy, which gets the arguments of the URL."""

    def create(*_: Any, **__: Any) -> Awaitable[T]:
        return connect(sqlite)

    return create


def _lone(url: URL, arguments: dict[str, Any]) -> AsyncEngine:
    return create_async_engine(url, poolclass=LonePool, connect_args=arguments)


def _prepare(engine: AsyncEngine, terms: Terms, *, replica: bool = False) -> None:
    """Watch an engine for stale sessions, and send settings that its driver cannot."""
    pooled_here = not isinstance(engine.pool, NullPool)
    watch_sessions(engine.sync_engine, read_only=terms.read_only, replica=replica)
    if pooled_here and not terms.behind_pooler:
        run_stale_again(engine.sync_engine)
    if engine.dialect.driver == "asyncpg":
        if pooled_here:
            event.listen(engine.sync_engine, "checkout", _refuse_closed, insert=True)
    elif terms.behind_pooler:
        pooler.set_for_each_transaction(engine, terms.settings)


def _watch(engine: AsyncEngine) -> None:
    """Note each failed statement, so that nothing half-done is committed."""
    event.listen(engine.sync_engine, "handle_error", _note_failure)
    watch_transactions(engine.sync_engine)


def _note_failure(context: ExceptionContext) -> BaseException | None:
    connection, error = context.connection, context.original_exception
    if connection is not None and not connection.invalidated and not connection.closed:
        connection.info[_FAILED] = True
    if isinstance(error, (TimeoutError, OSError)) and not isinstance(error, sqlite3.Error):
        # Errors that a driver does not translate: the server did not answer, or is gone.
        context.is_disconnect = True
        return exc.OperationalError(None, None, error, connection_invalidated=True)
    if isinstance(error, UnicodeEncodeError):
        return exc.DataError(None, None, error)
    return None


def _refuse_after_failure(connection: Connection) -> None:
    # PostgreSQL answers the COMMIT of a failed transaction with a rollback, and no error.
    if connection.info.get(_FAILED):
        # For SQLAlchemy, a commit that raises has ended the transaction.
        connection.dialect.do_rollback(connection.connection)
        raise StatementFailed


def _forget_failure(connection: Connection, *_: object) -> None:
    if not connection.invalidated:
        connection.info.pop(_FAILED, None)


def _refuse_closed(connection: Any, _: object, __: object) -> None:
    # The loop has already seen the server hang up: no round trip is needed to know.
    if connection.driver_connection.is_closed():
        raise exc.DisconnectionError
