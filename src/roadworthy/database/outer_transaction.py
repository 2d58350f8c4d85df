"""`Outer`: one transaction around a whole test, in which commits are savepoints.

All engines lend the one connection in turns. What begins a transaction there sets a
savepoint, a commit releases it and a rollback goes back to it: the sessions, events and
callbacks above see what they always see. Who reads is refused writes, as in production.
"""

import asyncio
import copy
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy import Engine, NullPool, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import await_only

from roadworthy.database.engines import Engines, watch_transactions

__all__ = ["within_outer"]

_SAVEPOINT: Final = "roadworthy_unit"
_BEGIN: Final = (f"SAVEPOINT {_SAVEPOINT}",)
_COMMIT: Final = (f"RELEASE SAVEPOINT {_SAVEPOINT}",)
_ROLLBACK: Final = (f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}", *_COMMIT)

_CHECK: Final = "roadworthy_check"
_CONSTRAINTS: Final = (
    # Those that wait for the commit are judged; after the rollback they wait again.
    f"SAVEPOINT {_CHECK}",
    "SET CONSTRAINTS ALL IMMEDIATE",
    f"ROLLBACK TO SAVEPOINT {_CHECK}",
    f"RELEASE SAVEPOINT {_CHECK}",
)
_READ_ONLY: Final = {
    # PostgreSQL ends it with the savepoint.
    "postgresql": (("SET TRANSACTION READ ONLY",), ()),
    "sqlite": (("PRAGMA query_only=ON",), ("PRAGMA query_only=OFF",)),
}


@asynccontextmanager
async def within_outer(engines: Engines) -> AsyncGenerator[Engines]:
    """Lend engines that share a connection, and roll back all changes at the end."""
    async with engines.write.connect() as connection:
        await connection.begin()
        raw: Any = (await connection.get_raw_connection()).dbapi_connection
        outer = _Outer(raw, seconds=engines.options.max_wait.total_seconds())
        try:
            yield _sharing(engines, outer)
        finally:
            await _roll_back(connection, outer)


async def _roll_back(connection: AsyncConnection, outer: "_Outer") -> None:
    await outer.end()
    try:
        await connection.rollback()
    except (exc.SQLAlchemyError, OSError):
        # It is lost, and what it did is gone with it.
        with suppress(exc.SQLAlchemyError, OSError):
            await connection.invalidate()


def _sharing(engines: Engines, outer: "_Outer") -> Engines:
    shared = Engines(engines.url, engines.options)
    shared.sqlite = engines.sqlite
    shared.write = shared.read = shared.lone = _engine(engines.write, outer)
    if engines.sqlite is None or not engines.sqlite.in_memory:
        shared.read = _engine(engines.write, outer, read_only=True)
    return shared


def _engine(real: AsyncEngine, outer: "_Outer", *, read_only: bool = False) -> AsyncEngine:
    dialect = _dialect(real.dialect, outer, read_only=read_only)
    pool = NullPool(outer.lend, dialect=dialect)
    # What readers declare: so that a write of theirs is told from a node that takes none.
    options = {"postgresql_readonly": True} if read_only else {}
    echo: Any = real.sync_engine.echo
    engine = Engine(
        pool, dialect, real.url, echo=echo, hide_parameters=True, execution_options=options
    )
    watch_transactions(engine)
    return AsyncEngine(engine)


def _dialect(real: Any, outer: "_Outer", *, read_only: bool) -> Any:
    """Return the dialect with one difference: transactions are savepoints.

    It shares the events of the real one, so errors are judged by the same listeners.
    """
    dialect: Any = copy.copy(real)
    first, last = _READ_ONLY[real.name] if read_only else ((), ())
    before = _CONSTRAINTS if real.name == "postgresql" and not read_only else ()

    def begin(_: object) -> None:
        outer.begin(first, last)

    def commit(_: object) -> None:
        outer.commit(before)

    def rollback(_: object) -> None:
        outer.rollback()

    def take_back(_: object) -> None:
        outer.take_back()

    dialect.do_begin, dialect.do_commit, dialect.do_rollback = begin, commit, rollback
    dialect.do_close = dialect.do_terminate = take_back
    dialect.set_connection_execution_options = _refuse_autocommit
    dialect.set_engine_execution_options = _refuse_autocommit
    return dialect


def _refuse_autocommit(_: object, options: Any) -> None:
    """Ignore an isolation level, which changes nothing here; refuse AUTOCOMMIT."""
    if str(options.get("isolation_level")).upper() == "AUTOCOMMIT":
        raise RuntimeError(
            "A test that is rolled back is one transaction, which AUTOCOMMIT would leave. Test "
            "this without `rolled_back`, on a database of its own: `async with db:`."
        )


class _Outer:
    """The connection of a test: its holder, and whether a savepoint is set."""

    def __init__(self, raw: Any, *, seconds: float) -> None:
        self.over = self._undone = False
        self._raw, self._seconds = raw, seconds
        self._turn = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._end: tuple[str, ...] | None = None
        """What ends the unit beside its savepoint; None where no savepoint is set."""
        self._at_home = os.getpid(), asyncio.get_running_loop()

    def lend(self) -> Any:
        """Return the connection when it is free.

        Raises:
            RuntimeError: It never will be; the text says what to write instead.
        """
        if self.over:
            raise RuntimeError(_OVER)
        if self._at_home != (os.getpid(), asyncio.get_running_loop()):
            raise RuntimeError(_ELSEWHERE)
        await_only(self._take())
        try:
            self.rollback()  # of who was cancelled in the middle of a statement
        except BaseException:
            self.take_back()
            raise
        return self._raw

    async def end(self) -> None:
        """Lend the connection no more, and wait a bounded time for its holder.

        Jobs that run beside a test may be in the middle of a unit, whose savepoint must not
        go away under it. Who is not done in time finds nothing that could be undone.
        """
        self.over = True
        if self._holder is not asyncio.current_task():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._turn.acquire()
        self._undone, self._end = True, None

    def take_back(self) -> None:
        """Give the connection to the next one that waits."""
        self._holder = None
        if self._turn.locked():
            self._turn.release()

    def begin(self, first: tuple[str, ...], last: tuple[str, ...]) -> None:
        """Set a savepoint, where a transaction would begin.

        Raises:
            RuntimeError: The test is over.
        """
        if self._undone:
            raise RuntimeError(_OVER)
        self._end = last
        self._run(*_BEGIN, *first)

    def commit(self, before: tuple[str, ...]) -> None:
        """Release the savepoint, or go back to it where a constraint was waiting."""
        if self._end is None:
            return
        try:
            self._run(*before, *self._end, *_COMMIT)
        except BaseException:
            self.rollback()
            raise
        self._end = None

    def rollback(self) -> None:
        """Go back to the savepoint, if one is set."""
        if self._end is not None:
            self._run(*_ROLLBACK[:1], *self._end, *_ROLLBACK[1:])
            self._end = None

    async def _take(self) -> None:
        if self._turn.locked() and self._holder is asyncio.current_task():
            raise RuntimeError(_AT_ONCE)
        try:
            async with asyncio.timeout(self._seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise RuntimeError(_AT_ONCE) from None
        self._holder = asyncio.current_task()

    def _run(self, *statements: str) -> None:
        cursor = self._raw.cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
        finally:
            cursor.close()


_AT_ONCE: Final = (
    "A test that is rolled back has one connection, and a unit of work still has it. Leave "
    "`async with db.begin() as tx:` before you call what needs another one, or use its `tx`; in a "
    "route, `Read` and `Tx` are two: take `Tx` alone. What needs two at once is tested without "
    "`rolled_back`, on a database of its own: `async with db:`."
)
_ELSEWHERE: Final = (
    "A test that is rolled back has one connection, which serves the event loop and the process of "
    "the test. Call the application with httpx.AsyncClient(transport=ASGITransport(app=app)) in "
    "place of TestClient. What needs another process is tested without `rolled_back`."
)
_OVER: Final = (
    "The test that was rolled back is over, and its engine with it. Take `db.engine` anew, where "
    "you need it."
)
