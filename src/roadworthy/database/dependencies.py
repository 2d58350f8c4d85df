"""`Tx`, `Read`, `transaction`: a unit of work that ends before the response."""

import random
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from roadworthy import _fastapi
from roadworthy.database import observe
from roadworthy.database.errors import FAILURES, is_stale_statement, may_succeed_again
from roadworthy.database.part import Database
from roadworthy.database.unit import Unit, raise_for
from roadworthy.lifespan import find, needs
from roadworthy.problems import ServiceUnavailable, raises

__all__ = ["Read", "ReadLatest", "Tx", "reading", "transaction"]

_UNITS: Final = "roadworthy.units"
"""The open unit of each database, in the scope of a request."""
_TRIES: Final = "roadworthy.tries"
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5
_ERROR: Final = 400
_SAFE: Final = {"GET", "HEAD", "OPTIONS", "QUERY"}
"""Methods that ask for no change (RFC 9110 §9.2.1): who gets no answer asks again."""
_STALE_ATTEMPTS: Final = 3
"""How often such a request runs whose statements were prepared before a migration."""


def transaction(
    *,
    attempts: int = 1,
    isolation: str | None = None,
    session: type[AsyncSession] | None = None,
    database: str | None = None,
) -> Any:
    """Return a dependency like `Tx`, with other terms.

    `attempts` more than one declares that the whole route may run again: nothing it
    does outside the transaction minds. It then does, after a serialization failure, a
    deadlock, a stale version or a lost connection; not when the connection is lost
    during the commit, whose outcome nobody knows. `isolation` is PostgreSQL's, as
    `"SERIALIZABLE"`; SQLite always is. `session` is a class of your own or SQLModel's.
    `database` is the name of one of several databases: each has a transaction of its own, and
    one may be committed where the commit of another fails.

        Retried = Annotated[AsyncSession, transaction(attempts=3)]
    """

    @needs(Database, name=database)
    @raises(*FAILURES)
    async def tx(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
        found = find(connection, Database, name=database)
        units: dict[Database, Unit] = connection.scope.setdefault(_UNITS, {})
        if found in units:
            yield _join(units[found], session)
            return
        _require_hook(connection)
        unit = found.open_unit(_Place(connection), isolation=isolation, session=session)
        units[found] = unit
        try:
            yield unit.session
        except BaseException as error:
            del units[found]
            await unit.abandon()
            _retry(connection, error, attempts)
            raise_for(error)
            raise
        del units[found]
        await _end(connection, unit, attempts)

    return Depends(tx, scope="function")


def reading(*, database: str | None = None, replica: bool = True) -> Any:
    """Return a dependency like `Read`, of the database of this name.

    With `replica=False` it is like `ReadLatest`.
    """

    @needs(Database, name=database)
    @raises(ServiceUnavailable)
    async def read(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
        _require_hook(connection)
        found = find(connection, Database, name=database)
        unit = found.open_unit(_Place(connection), read_only=True, replica=replica)
        try:
            yield unit.session
        except BaseException as error:
            await unit.abandon()
            _retry(connection, error, 1)
            raise_for(error)
            raise
        await unit.abandon()  # what was read is known: a connection that is lost now is no error

    return Depends(read, scope="function")


Tx = Annotated[AsyncSession, transaction()]
"""A unit of work: committed before the response is sent, if its status is below 400.

Anything else rolls it back: an exception, a returned 4xx or 5xx, a cancellation. A
commit that fails is an error answer. No connection is taken before the first
statement. Dependencies of one request that ask for it share one.
"""

Read = Annotated[AsyncSession, reading()]
"""A unit of work that only reads, ended before the response is sent.

Where the database has a replica, it reads there, and may miss what was committed a moment ago.
"""

ReadLatest = Annotated[AsyncSession, reading(replica=False)]
"""The same, from the primary: it sees all that was acknowledged before."""


class _Place:
    """Name the route, when somebody asks."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._scope = connection.scope

    def __call__(self) -> str:
        route = _fastapi.route_of(self._scope)
        path = getattr(route, "path", None) or self._scope.get("path", "?")
        return f"{self._scope.get('method', 'WEBSOCKET')} {path}"


def _join(unit: Unit, session: type[AsyncSession] | None) -> AsyncSession:
    if session is not None and not isinstance(unit.session, session):
        raise RuntimeError(
            f"This request has a transaction already, whose session is no {session.__name__}. "
            f"Give the whole application one kind: Database(..., session_class={session.__name__})."
        )
    return unit.session


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
        observe.retried(error)
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
