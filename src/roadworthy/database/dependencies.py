"""`Tx`, `Read`, `SyncTx`, `SyncRead`: units of work that end before the response."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection, Request

from roadworthy import _fastapi
from roadworthy._early_validation import check_request
from roadworthy._internal.durations import check_size
from roadworthy._sync_or_async import for_async_routes, for_sync_routes
from roadworthy.database import metrics
from roadworthy.database.database import Database
from roadworthy.database.errors import FAILURES, is_stale_statement, may_succeed_again
from roadworthy.database.terms import check_unit
from roadworthy.database.unit import Unit, raise_for
from roadworthy.lifespan import find, needs
from roadworthy.problems import ServiceUnavailable, raises

__all__ = [
    "Read",
    "ReadLatest",
    "SyncRead",
    "SyncReadLatest",
    "SyncTx",
    "Tx",
    "reading",
    "sync_reading",
    "sync_transaction",
    "transaction",
]

_UNITS: Final = "roadworthy.units"
"""The open unit of each database, in the scope of a request."""
_PLACES: Final = "roadworthy.places"
"""The databases for which a request has a thread slot, in its scope."""
_TRIES: Final = "roadworthy.tries"
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5
_ERROR: Final = 400
_SAFE: Final = {"GET", "HEAD", "OPTIONS", "QUERY"}
"""Methods that ask for no change (RFC 9110 §9.2.1), so that clients may repeat them."""
_STALE_ATTEMPTS: Final = 3
"""How often such a request runs if its statements were prepared before a migration."""

_NO_AWAIT: Final = (
    "{{route}} is a `def` route, and its {{parameter}} is a {name}, whose methods must be awaited: "
    "there, they would do nothing. Declare the route `async def`, or write "
    "`{{parameter}}: {other}`."
)
_HOLDS_UP: Final = (
    "{{route}} is an `async def` route, and its {{parameter}} is a {name}, whose methods wait: "
    "there, they would hold up all other requests. Declare the route `def`, or write "
    "`{{parameter}}: {other}` and await its methods."
)


def transaction(
    *,
    attempts: int = 1,
    isolation: str | None = None,
    session: type[AsyncSession] | None = None,
    database: str | None = None,
) -> Any:
    """Return a dependency like `Tx`, with other options.

        Retried = Annotated[AsyncSession, transaction(attempts=3)]

    Args:
        attempts: More than one lets the whole route run again after a serialization failure, a
            deadlock, a stale version or a lost connection, but not after a connection was lost
            during the commit, whose outcome is unknown. The route must do nothing outside the
            transaction that may not be repeated.
        isolation: The level of PostgreSQL, such as `"SERIALIZABLE"`; SQLite always has that.
        session: A session class of your own, or SQLModel's.
        database: The name of one of several databases. Each has a transaction of its own: one
            may be committed while the commit of another fails.

    Raises:
        ValueError: `attempts` is less than one, or `isolation` is no level.
        TypeError: An argument is of another type, or `session` is no class of sessions.
    """
    check_size("attempts", attempts)
    check_unit(isolation=isolation, session=session)

    @for_async_routes(_NO_AWAIT.format(name="Tx", other="SyncTx"))
    @needs(Database, name=database)
    @raises(*FAILURES)
    async def tx(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
        found = find(connection, Database, name=database)
        terms = _Terms(attempts, isolation, session)
        async with _writing(connection, found, terms) as unit:
            yield unit.session

    return Depends(tx, scope="function")


def reading(*, database: str | None = None, replica: bool = True) -> Any:
    """Return a dependency like `Read`, of the database of this name.

    With `replica=False` the dependency is like `ReadLatest`.
    """

    @for_async_routes(_NO_AWAIT.format(name="Read", other="SyncRead"))
    @needs(Database, name=database)
    @raises(ServiceUnavailable)
    async def read(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
        found = find(connection, Database, name=database)
        async with _reading(connection, found, replica=replica) as unit:
            yield unit.session

    return Depends(read, scope="function")


def sync_transaction(
    *,
    attempts: int = 1,
    isolation: str | None = None,
    session: type[Session] | None = None,
    database: str | None = None,
) -> Any:
    """Return a dependency like `SyncTx`, with the options of `transaction`.

    Retried = Annotated[Session, sync_transaction(attempts=3)]

    Raises:
        ValueError: `attempts` is less than one, or `isolation` is no level.
        TypeError: An argument is of another type, or `session` is no class of sessions.
    """
    check_size("attempts", attempts)
    check_unit(isolation=isolation, session=session, kind=Session)

    @for_sync_routes(_HOLDS_UP.format(name="SyncTx", other="Tx"))
    @needs(Database, name=database)
    @raises(*FAILURES)
    async def tx(connection: HTTPConnection) -> AsyncGenerator[Session]:
        found = find(connection, Database, name=database)
        terms = _Terms(attempts, isolation, session)
        async with _lent(connection, found, _writing(connection, found, terms)) as lent:
            yield lent

    return Depends(tx, scope="function")


def sync_reading(*, database: str | None = None, replica: bool = True) -> Any:
    """Return a dependency like `SyncRead`, of the database of this name.

    With `replica=False` the dependency is like `SyncReadLatest`.
    """

    @for_sync_routes(_HOLDS_UP.format(name="SyncRead", other="Read"))
    @needs(Database, name=database)
    @raises(ServiceUnavailable)
    async def read(connection: HTTPConnection) -> AsyncGenerator[Session]:
        found = find(connection, Database, name=database)
        opening = _reading(connection, found, replica=replica)
        async with _lent(connection, found, opening) as lent:
            yield lent

    return Depends(read, scope="function")


Tx = Annotated[AsyncSession, transaction()]
"""A unit of work, committed before the response is sent if its status is below 400.

Anything else rolls the unit back: an exception, a returned 4xx or 5xx, a cancellation. If the
commit fails, the answer is an error. No connection is taken before the first statement. All
dependencies of a request share one unit.
"""

Read = Annotated[AsyncSession, reading()]
"""A unit of work that only reads, and ends before the response is sent.

If the database has a replica, the unit reads there, and may miss the latest commits.
"""

ReadLatest = Annotated[AsyncSession, reading(replica=False)]
"""The same, from the primary: it sees all that was acknowledged before."""


SyncTx = Annotated[Session, sync_transaction()]
"""The unit of work of a `def` route: SQLAlchemy's own `Session`, with the promises of `Tx`.

The unit is committed before the response is sent if its status is below 400; anything else rolls
it back. Before a thread is taken, the unit waits for one of `pool_size` slots; after `max_wait` the
answer is 503. In one request, `SyncTx` and `Tx` are one transaction.
"""

SyncRead = Annotated[Session, sync_reading()]
"""A unit of work of a `def` route that only reads, as `Read` in an `async def` route."""

SyncReadLatest = Annotated[Session, sync_reading(replica=False)]
"""The same, from the primary: it sees all that was acknowledged before."""


class _Terms(NamedTuple):
    """The options of a route's transaction."""

    attempts: int
    isolation: str | None
    session: type[AsyncSession] | type[Session] | None


@asynccontextmanager
async def _writing(
    connection: HTTPConnection, found: Database, terms: _Terms
) -> AsyncGenerator[Unit]:
    """Open the unit of a request, or join the one that is open."""
    units: dict[Database, Unit] = connection.scope.setdefault(_UNITS, {})
    if found in units:
        yield _joined(units[found], terms.session)
        return
    _require_hook(connection)
    unit = found.open_unit(_Place(connection), isolation=terms.isolation, session=terms.session)
    units[found] = unit
    try:
        yield unit
    except BaseException as error:
        del units[found]
        await _abandon(unit, error)
        _retry(connection, error, terms.attempts)
        raise_for(error)
        raise
    del units[found]
    await _end(connection, unit, terms.attempts)


@asynccontextmanager
async def _reading(
    connection: HTTPConnection, found: Database, *, replica: bool
) -> AsyncGenerator[Unit]:
    _require_hook(connection)
    unit = found.open_unit(_Place(connection), read_only=True, replica=replica)
    try:
        yield unit
    except BaseException as error:
        await _abandon(unit, error)
        _retry(connection, error, 1)
        raise_for(error)
        raise
    await unit.abandon()  # all has been read: a connection that is lost now is no error


async def _abandon(unit: Unit, error: BaseException) -> None:
    # A thread cannot be cancelled: it still runs when its request is over.
    await unit.abandon(thread_may_run=isinstance(error, asyncio.CancelledError))


@asynccontextmanager
async def _lent(
    connection: HTTPConnection, found: Database, opening: AbstractAsyncContextManager[Unit]
) -> AsyncGenerator[Session]:
    """Take a thread slot, then open the unit, and lend its session to threads."""
    async with _admitted(connection, found), opening as unit:
        with unit.lend_to_threads() as lent:
            yield lent


@asynccontextmanager
async def _admitted(connection: HTTPConnection, found: Database) -> AsyncGenerator[None]:
    """Take a thread slot for a request, unless it has one, or a connection."""
    places: set[Database] = connection.scope.setdefault(_PLACES, set())
    unit: Unit | None = connection.scope.get(_UNITS, {}).get(found)
    if found in places or (unit is not None and unit.session.in_transaction()):
        yield
        return
    if found.thread_slots.is_full and isinstance(connection, Request):
        await check_request(connection)  # an invalid request need not wait
    async with found.thread_slots.enter():
        places.add(found)
        try:
            yield
        finally:
            places.discard(found)


class _Place:
    """The name of the route, made when it is needed."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._scope = connection.scope

    def __call__(self) -> str:
        route = _fastapi.route_of(self._scope)
        path = getattr(route, "path", None) or self._scope.get("path", "?")
        return f"{self._scope.get('method', 'WEBSOCKET')} {path}"


def _joined(unit: Unit, session: type[AsyncSession] | type[Session] | None) -> Unit:
    both = unit.session, unit.session.sync_session
    if session is not None and not any(isinstance(each, session) for each in both):
        raise RuntimeError(
            f"This request has a transaction already, whose session is no {session.__name__}. "
            f"Give the whole application one kind: Database(..., session_class={session.__name__})."
        )
    return unit


async def _end(connection: HTTPConnection, unit: Unit, attempts: int) -> None:
    response = _fastapi.response_of(connection)
    if response is None or response.status_code >= _ERROR:
        await unit.abandon()
        return
    try:
        await unit.commit()
    except Exception as error:
        cause = error.__cause__ or error
        if not getattr(cause, "connection_invalidated", False):
            _retry(connection, cause, attempts)
        raise


def _retry(connection: HTTPConnection, error: BaseException, attempts: int) -> None:
    tries = connection.scope.get(_TRIES, 1)
    if connection.scope.get("method") in _SAFE and is_stale_statement(error):
        attempts = max(attempts, _STALE_ATTEMPTS)
    if tries < attempts and may_succeed_again(error):
        connection.scope[_TRIES] = tries + 1
        metrics.retried(error)
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**tries)
        raise _fastapi.Again(pause=random.uniform(0, longest)) from error  # noqa: S311 - jitter


def _require_hook(connection: HTTPConnection) -> None:
    if _fastapi.is_hooked(connection):
        return
    if connection.scope["type"] == "websocket":
        raise RuntimeError(
            "A WebSocket has no response to commit before. Open a unit for each message: "
            "`async with find(websocket, Database).begin() as tx: ...`."
        )
    raise RuntimeError(
        "Tx and Read must see the response of this route, and nothing has prepared it. Add the "
        "route before the application starts; where it belongs to a mounted application, "
        "call `problems.install(...)` on that one too."
    )
