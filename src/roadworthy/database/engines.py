"""`Engines`: the SQLAlchemy engines of one database, for as long as it is open."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import NullPool, event, exc
from sqlalchemy.engine import URL, Connection, ExceptionContext, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from roadworthy.database import observe, pooled
from roadworthy.database.errors import StatementFailed
from roadworthy.database.replica import Replica
from roadworthy.database.sqlite import Sqlite, Synchronous

__all__ = ["Engines", "Options", "driver_url"]

_FAILED: Final = "roadworthy.failed"
_MAX_WRITERS: Final = 256
"""Write transactions that may queue on SQLite: they share one real connection."""

_DRIVERS: Final = {
    "sqlite": ("sqlite+aiosqlite", "aiosqlite", "sqlite"),
    "sqlite+aiosqlite": ("sqlite+aiosqlite", "aiosqlite", "sqlite"),
    "postgres": ("postgresql+asyncpg", "asyncpg", "postgresql"),
    "postgresql": ("postgresql+asyncpg", "asyncpg", "postgresql"),
    "postgresql+asyncpg": ("postgresql+asyncpg", "asyncpg", "postgresql"),
    "postgresql+psycopg": ("postgresql+psycopg", "psycopg", "postgresql"),
}
_GRACE: Final = 5.0
"""Seconds that the client waits longer than the server's own statement timeout."""
_REPLICA_SECONDS: Final = 2.0
"""How long a replica may take to let a reader in who could ask the primary."""
_CLOSING: Final = 2.0
"""Seconds that a server has to say goodbye to all connections of a pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How connections are made; the arguments of `Database`."""

    pool_size: int
    max_wait: timedelta
    statement_timeout: timedelta
    synchronous: Synchronous
    connect_args: Mapping[str, Any]
    echo: bool
    replica: URL | None
    behind_pooler: bool

    @property
    def statement_milliseconds(self) -> int:
        """The statement timeout as PostgreSQL takes it."""
        return int(self.statement_timeout.total_seconds() * 1000)


def driver_url(url: str | URL) -> URL:
    """Return the URL with the driver to use.

    Raises:
        ValueError: The URL names a database or a driver that is not supported.
        ModuleNotFoundError: The driver is not installed.
    """
    parsed = make_url(url)
    if parsed.drivername not in _DRIVERS:
        raise ValueError(
            f"Database takes sqlite:///file.db or postgresql://host/name, not "
            f"{parsed.drivername}://. Drivers that may be named: {', '.join(_DRIVERS)}."
        )
    name, module, extra = _DRIVERS[parsed.drivername]
    try:
        __import__(module)
    except ModuleNotFoundError as missing:
        wanted = module if module == "psycopg" else f"'roadworthy[{extra}]'"
        raise ModuleNotFoundError(f"{name}:// needs {module}: pip install {wanted}") from missing
    return parsed.set(drivername=name)


class Engines:
    """The engines for writing, for reading, and for a ping on a connection of its own."""

    write: AsyncEngine
    read: AsyncEngine
    lone: AsyncEngine

    def __init__(self, url: URL, options: Options) -> None:
        self.url, self.options = url, options
        self.sqlite: Sqlite | None = None
        self.replica: Replica | None = None

    async def open(self) -> None:
        """Make the engines. SQLite's file is opened now, PostgreSQL when it is first used.

        Raises:
            sqlite3.OperationalError: The file cannot be opened.
        """
        if self.url.get_backend_name() == "sqlite":
            await self._open_sqlite()
        else:
            self._open_postgresql()
        observe.watch(self)

    async def close(self) -> None:
        """Close every connection that is not in use, and the writer."""
        observe.forget(self)
        replica = () if self.replica is None else (self.replica.whole,)
        for engine in dict.fromkeys((self.read, self.write, self.lone, *replica)):
            with suppress(exc.SQLAlchemyError, OSError):
                await _dispose(engine)
        if self.sqlite is not None:
            await self.sqlite.close()

    def pools(self) -> Iterator[observe.PoolState]:
        """Yield how the pools are. Writers of SQLite share one connection, in turns."""
        if self.sqlite is not None:
            yield self.sqlite.turns()
        engines = [self.read] if self.replica is None else [self.read, self.replica.whole]
        for engine in engines:
            if isinstance(engine.pool, observe.Pool):
                yield engine.pool.state()

    async def _open_sqlite(self) -> None:
        sqlite = self.sqlite = _sqlite(self.url, self.options)
        await sqlite.open()
        size = self.options.pool_size
        writers = max(size, _MAX_WRITERS)
        self.write = self._engine(pool_size=writers, async_creator=sqlite.connect_writer)
        if sqlite.in_memory:
            self.read = self.lone = self.write
            return
        self.read = self._engine(pool="read", pool_size=size, async_creator=sqlite.connect_reader)
        self.lone = create_async_engine(
            self.url, poolclass=NullPool, async_creator=sqlite.connect_reader
        )

    def _open_postgresql(self) -> None:
        arguments = _postgresql_arguments(self.url, self.options)
        size = self.options.pool_size
        self.write = self._engine(pool="main", pool_size=size, connect_args=arguments)
        self.read = self.write.execution_options(postgresql_readonly=True)
        self.lone = create_async_engine(self.url, poolclass=NullPool, connect_args=arguments)
        engines = [self.write, self.lone]
        event.listen(self.write.sync_engine, "do_connect", _connect)
        event.listen(self.lone.sync_engine, "do_connect", _connect)
        if self.options.replica is not None:
            self.replica = self._replica(self.options.replica, arguments)
            engines.append(self.replica.whole)
        for engine in engines:
            self._prepare_postgresql(engine)

    def _replica(self, url: URL, arguments: dict[str, Any]) -> Replica:
        name = "timeout" if url.get_driver_name() == "asyncpg" else "connect_timeout"
        given = {**arguments, name: min(arguments[name], _REPLICA_SECONDS)}
        size = self.options.pool_size
        engine = self._engine(url, pool="replica", pool_size=size, connect_args=given)
        lone = create_async_engine(url, poolclass=NullPool, connect_args=given)
        event.listen(lone.sync_engine, "do_connect", _connect)
        return Replica(engine, lone, primary=self.url, arguments=arguments)

    def _prepare_postgresql(self, engine: AsyncEngine) -> None:
        if self.url.get_driver_name() == "asyncpg":
            if not isinstance(engine.pool, NullPool):
                event.listen(engine.sync_engine, "checkout", _refuse_closed, insert=True)
        elif self.options.behind_pooler:
            pooled.limit_each_transaction(engine, self.options.statement_milliseconds)

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
            poolclass=AsyncAdaptedQueuePool if pool is None else observe.Pool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self.options.max_wait.total_seconds(),
            echo=self.options.echo,
            hide_parameters=True,
            **arguments,
        )
        if isinstance(engine.pool, observe.Pool) and pool is not None:
            engine.pool.label = pool
        _watch(engine)
        return engine


async def _dispose(engine: AsyncEngine) -> None:
    """Close the connections of a pool; one whose server hangs is cut off."""
    if engine.dialect.name == "sqlite":
        await engine.dispose()
        return
    seconds = _CLOSING
    for _ in range(_idle(engine) + 1):
        # A driver waits for the goodbye for ever; where it is cancelled, it drops the connection.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await engine.dispose()
                return
        seconds = 0


def _idle(engine: AsyncEngine) -> int:
    return engine.pool.checkedin() if isinstance(engine.pool, AsyncAdaptedQueuePool) else 0


def _sqlite(url: URL, options: Options) -> Sqlite:
    query = {name: value for name, value in url.query.items() if name != "uri"}
    if query:
        raise ValueError(f"sqlite:// takes no {', '.join(query)} in its URL: use connect_args.")
    path = url.database or ":memory:"
    return Sqlite(
        path,
        uri=path.startswith("file:"),
        synchronous=options.synchronous,
        busy=options.max_wait,
        statement_timeout=options.statement_timeout,
        options=options.connect_args,
    )


def _postgresql_arguments(url: URL, options: Options) -> dict[str, Any]:
    seconds = options.max_wait.total_seconds()
    if url.get_driver_name() == "asyncpg":
        return _asyncpg_arguments(options, seconds)
    given = {"connect_timeout": max(2, int(seconds))}
    if options.behind_pooler:
        return {**given, **pooled.psycopg_arguments(), **options.connect_args}
    setting = f"-c statement_timeout={options.statement_milliseconds}"
    return {**given, "options": setting, **options.connect_args}


def _asyncpg_arguments(options: Options, seconds: float) -> dict[str, Any]:
    given = dict(options.connect_args)
    milliseconds = options.statement_milliseconds
    # A pooler takes no settings with a connection, which is none of the server's.
    ours = {} if options.behind_pooler else {"statement_timeout": str(milliseconds)}
    server = {**ours, **given.pop("server_settings", {})}
    most = options.statement_timeout.total_seconds() + _GRACE
    more = pooled.asyncpg_arguments(milliseconds) if options.behind_pooler else {}
    known = {"timeout": seconds, "command_timeout": most, "server_settings": server}
    return {**known, **more, **given}


def _watch(engine: AsyncEngine) -> None:
    """Know of each statement that failed, so that nothing half-done is committed."""
    event.listen(engine.sync_engine, "handle_error", _note_failure)
    event.listen(engine.sync_engine, "commit", _refuse_after_failure)
    event.listen(engine.sync_engine, "begin", _forget_failure)
    event.listen(engine.sync_engine, "rollback_savepoint", _forget_failure)


def _note_failure(context: ExceptionContext) -> BaseException | None:
    connection, error = context.connection, context.original_exception
    if connection is not None and not connection.invalidated and not connection.closed:
        connection.info[_FAILED] = True
    if isinstance(error, (TimeoutError, OSError)) and not isinstance(error, sqlite3.Error):
        # A driver lets these through as they are: the server did not answer, or is gone.
        context.is_disconnect = True
        return exc.OperationalError(None, None, error, connection_invalidated=True)
    if isinstance(error, UnicodeEncodeError):
        return exc.DataError(None, None, error)
    return None


def _refuse_after_failure(connection: Connection) -> None:
    # PostgreSQL answers the COMMIT of a failed transaction with a rollback, and no error.
    if connection.info.get(_FAILED):
        # SQLAlchemy takes a commit that raises for the end of the transaction.
        connection.dialect.do_rollback(connection.connection)
        raise StatementFailed


def _forget_failure(connection: Connection, *_: object) -> None:
    if not connection.invalidated:
        connection.info.pop(_FAILED, None)


def _connect(dialect: Any, _: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Connect, and tell a server that is not there from a file that is not there."""
    try:
        return dialect.connect(*arguments, **options)
    except (OSError, TimeoutError) as error:
        raise dialect.loaded_dbapi.OperationalError("cannot connect") from error


def _refuse_closed(connection: Any, _: object, __: object) -> None:
    # The loop has already seen the server hang up: no round trip is needed to know.
    if connection.driver_connection.is_closed():
        raise exc.DisconnectionError
