"""Take a transaction of SQLAlchemy to enqueue in, and refuse the wrong kind.

A coroutine that nobody awaits does nothing, and a session that cannot be awaited in says
so too late. So the wrong one of the two is refused where it is passed.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    AsyncTransaction,
    async_scoped_session,
    async_sessionmaker,
)
from sqlalchemy.orm import Session, SessionTransaction, scoped_session, sessionmaker

__all__ = ["Async", "Sync", "connection_of", "not_a_database", "session_of", "to_await", "to_call"]

Async: TypeAlias = AsyncSession | AsyncConnection
"""A transaction that is awaited in."""
Sync: TypeAlias = Session | Connection
"""A transaction of synchronous code."""


def to_await(tx: object, method: str, sync: str | None = None) -> Async:
    """Return a transaction that `await method(tx, ...)` takes.

    Raises:
        TypeError: It is none; the text says what to write, `sync` where that takes it.
    """
    if isinstance(tx, AsyncSession | AsyncConnection):
        return tx
    if _is(tx, async_scoped_session):
        return _async_of(tx)
    if sync is not None and _is(tx, Session, Connection, scoped_session):
        raise TypeError(
            f"{method} takes an AsyncSession or an AsyncConnection, and {_a(tx)} is neither. "
            f"In synchronous code write {sync}(session, ...)."
        )
    raise TypeError(
        f"{method} takes an AsyncSession or an AsyncConnection, and not {_a(tx)}. "
        f"{_hint(tx, f'await {method}')}"
    )


def to_call(tx: object, method: str, awaited: str) -> Sync:
    """Return a transaction that `method(tx, ...)` takes, in synchronous code.

    Raises:
        TypeError: It is none; the text says what to write, `awaited` where that takes it.
    """
    if isinstance(tx, Session | Connection):
        return tx
    if _is(tx, scoped_session):
        return _sync_of(tx)
    if _is(tx, AsyncSession, AsyncConnection, async_scoped_session):
        raise TypeError(
            f"{method} takes a Session or a Connection of synchronous SQLAlchemy, and {_a(tx)} "
            f"is neither. Write `await {awaited}(session, ...)`."
        )
    raise TypeError(
        f"{method} takes a Session or a Connection of synchronous SQLAlchemy, and not {_a(tx)}. "
        f"{_hint(tx, method)}"
    )


def session_of(tx: object, method: str) -> Session:
    """Return the synchronous session whose commit is waited for.

    Raises:
        TypeError: It is no session; the text says what to write.
    """
    if _is(tx, async_scoped_session):
        tx = _async_of(tx)
    elif _is(tx, scoped_session):
        tx = _sync_of(tx)
    if isinstance(tx, AsyncSession):
        return tx.sync_session
    if isinstance(tx, Session):
        return tx
    raise TypeError(
        f"{method} takes a session, AsyncSession or Session, whose commit it waits for, and not "
        f"{_a(tx)}. {_hint(tx, method)}"
    )


def connection_of(tx: Session | Connection) -> Connection:
    """Return the connection that a transaction is on."""
    return tx.connection() if isinstance(tx, Session) else tx


def not_a_database(given: object, part: str) -> str | None:
    """Return what to write in place of a value that is no database, or None.

    Args:
        given: What the constructor of a part was given.
        part: The name of its class.
    """
    wanted = f"{part} takes a Database or an AsyncEngine"
    make = f"{part}(Database('sqlite:///app.db'), ...) or create_async_engine(...)"
    if isinstance(given, AsyncEngine):
        return None
    if isinstance(given, Engine):
        return f"{wanted}, and {_a(given)} of synchronous SQLAlchemy is neither. Write {make}."
    if _is(given, *_OTHERS) or inspect.isclass(given) or not _has_units(given):
        return f"{wanted}, and not {_a(given)}. Write {make}."
    engine = inspect.getattr_static(given, "engine")
    if isinstance(engine, Engine):
        return f"{wanted}, and the engine of {_a(given)} is a synchronous one. Write {make}."
    return None


_OTHERS = (
    *(str, URL, Session, Connection, AsyncSession, AsyncConnection),
    *(scoped_session, async_scoped_session, sessionmaker, async_sessionmaker),
)
"""What some have `engine` and `begin` of, and none is a database."""


def _has_units(given: object) -> bool:
    # Not asked for their values: the engine of a database that is not open may raise.
    for name in ("engine", "begin"):
        try:
            inspect.getattr_static(given, name)
        except AttributeError:
            if not hasattr(given, name):
                return False
    return True


def _is(given: object, *kinds: type[Any]) -> bool:
    # Not `isinstance` itself, which would leave checkers with kinds of unknown parameters.
    return isinstance(given, kinds)


def _async_of(scoped: object) -> AsyncSession:
    return cast("Callable[[], AsyncSession]", scoped)()


def _sync_of(scoped: object) -> Session:
    return cast("Callable[[], Session]", scoped)()


def _a(given: object) -> str:
    if inspect.isclass(given):
        return f"the class {given.__name__}"
    name = type(given).__name__
    return name if given is None else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _hint(given: object, method: str) -> str:
    if isinstance(given, Engine | AsyncEngine):
        return (
            f"An engine has no transaction of its own: open one, {_opening(given)}, and write "
            f"`{method}(session, ...)` in it."
        )
    if _is(given, sessionmaker, async_sessionmaker):
        word = "async with" if _is(given, async_sessionmaker) else "with"
        return (
            f"That makes sessions: open one, `{word} factory.begin() as session:`, and write "
            f"`{method}(session, ...)` in it."
        )
    if _is(given, SessionTransaction, AsyncSessionTransaction, Transaction, AsyncTransaction):
        return f"Pass the session or the connection itself: `{method}(session, ...)`."
    if not inspect.isclass(given) and given is not None and _has_units(given):
        return f"Open a transaction of it: `async with db.begin() as tx: {method}(tx, ...)`."
    return f"Pass the transaction first: `{method}(tx, ...)`."


def _opening(given: Engine | AsyncEngine) -> str:
    if isinstance(given, AsyncEngine):
        return "`async with AsyncSession(engine) as session, session.begin():`"
    return "`with Session(engine) as session, session.begin():`"
