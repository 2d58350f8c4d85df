"""Write jobs in the caller's transaction: one INSERT, with any kind of session."""

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Insert, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from roadworthy._internal.calendar import earlier, later
from roadworthy._internal.ids import new_id
from roadworthy._sqlalchemy.dialects import insert_into
from roadworthy._sqlalchemy.transactions import Async, connection_of, to_await, to_call
from roadworthy.jobs import metrics, tracing
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.call import Call, Enqueued
from roadworthy.jobs.table.signals import announce, check_database, expect
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table
from roadworthy.problems import request_id

__all__ = [
    "MAX_UNIQUE_KEY",
    "add",
    "add_all",
    "add_sync",
    "enqueue_many",
    "enqueue_many_sync",
    "turn_at",
]

Row: TypeAlias = dict[str, Any]

MAX_UNIQUE_KEY: Final = 200
"""Characters."""
_TRIES: Final = 5
"""A job with our key may end between the INSERT that it stopped and the look for it."""


async def add(tx: Async, call: Call, begun: Callable[[], object]) -> Enqueued:
    """Add a job; `begun` is called when this is awaited."""
    begun()
    return await tx.run_sync(add_sync, call)


def enqueue_many(
    tx: "AsyncSession | AsyncConnection | async_scoped_session[Any]", calls: Iterable[Call]
) -> Coroutine[Any, Any, list[Enqueued]]:
    """Add many jobs in the transaction `tx`, in as few statements as the driver can.

        await enqueue_many(tx, [remind.call(order_id=id) for id in ids])

    Raises:
        TypeError: `tx` is none to await in, or one of `calls` is no call.
    """
    session = to_await(tx, "enqueue_many", "enqueue_many_sync")
    return _add_many(session, _calls(calls), expect(session, "enqueue_many"))


async def _add_many(tx: Async, calls: list[Call], begun: Callable[[], object]) -> list[Enqueued]:
    begun()
    return await tx.run_sync(add_all, calls)


def enqueue_many_sync(
    tx: "Session | Connection | scoped_session[Any]", calls: Iterable[Call]
) -> list[Enqueued]:
    """Add many jobs as `enqueue_many` does, in a synchronous transaction.

        enqueue_many_sync(session, [remind.call(order_id=id) for id in ids])

    Raises:
        TypeError: `tx` is none of these, or one of `calls` is no call.
    """
    return add_all(to_call(tx, "enqueue_many_sync", "enqueue_many"), _calls(calls))


def add_sync(tx: Session | Connection, call: Call) -> Enqueued:
    """Add a job with synchronous SQLAlchemy."""
    row = _row(call)
    connection = connection_of(tx)
    check_database(call, connection)
    added = _insert(connection, row)
    if added.created:
        announce(tx, connection)
        metrics.enqueued(call.task.name, row["queue"], 1)
    return added


def add_all(tx: Session | Connection, calls: list[Call]) -> list[Enqueued]:
    """Add many jobs with synchronous SQLAlchemy."""
    if not calls:
        return []
    connection = connection_of(tx)
    for call in calls:
        check_database(call, connection)
    rows = [_row(call) for call in calls]
    plain = [row for row in rows if row["unique_key"] is None]
    if plain:
        connection.execute(insert(table), plain)
    added = [
        Enqueued(row["id"]) if row["unique_key"] is None else _insert(connection, row)
        for row in rows
    ]
    announce(tx, connection)
    for row, one in zip(rows, added, strict=True):
        metrics.enqueued(row["task"], row["queue"], int(one.created))
    return added


def turn_at(run_at: datetime, priority: int) -> datetime:
    """Return the moment from which a job's turn counts: its priority is a head start."""
    return earlier(run_at, timedelta(minutes=priority)) if priority else run_at


def _calls(calls: Iterable[Call]) -> list[Call]:
    listed = list(calls)
    others: list[object] = [call for call in listed if not _is_call(call)]
    if others:
        raise TypeError(
            f"enqueue_many takes calls, and not {type(others[0]).__name__}: "
            "enqueue_many(tx, [remind.call(order_id=id) for id in ids])."
        )
    return listed


def _is_call(given: object) -> bool:
    return isinstance(given, Call)


def _row(call: Call) -> Row:
    now = clock.now()
    terms, options = call.task.terms, call.options
    priority = terms.priority if options.priority is None else options.priority
    run_at, key = options.run_at or now, _unique_key(call)
    return {
        "id": new_id(),
        "task": call.task.name,
        "version": terms.version,
        "arguments": call.arguments,
        "state": _first_state(run_at > now, call.limit_key),
        "queue": options.queue or terms.queue,
        "runs_on": terms.runs_on,
        "priority": priority,
        "turn_at": turn_at(run_at, priority),
        "attempts": 0,
        "enqueued_at": now,
        "run_at": run_at,
        "cancel_requested": False,
        "unique_key": key,
        "unique_until": options.unique,
        "unique_of": key,
        "request_id": request_id(),
        "trace": tracing.traceparent(),
        "expires_at": _expires_at(call, run_at),
        "limit_key": call.limit_key,
    }


def _first_state(later: bool, limit_key: str | None) -> State:
    if later:
        return State.SCHEDULED
    return State.QUEUED if limit_key is None else State.BLOCKED


def _expires_at(call: Call, run_at: datetime) -> datetime | None:
    expires = call.options.expires or call.task.terms.expires
    if not isinstance(expires, timedelta):
        return expires
    return later(run_at, expires)


def _unique_key(call: Call) -> str | None:
    if call.options.unique is None:
        return None
    own = call.options.unique_key or call.argument_key
    return own or sha256(call.arguments.encode()).hexdigest()


def _insert(connection: Connection, row: Row) -> Enqueued:
    if row["unique_key"] is None:
        connection.execute(_insert_one, row)
        return Enqueued(row["id"])
    for _ in range(_TRIES):
        statement = _unless_there(connection.dialect.name).returning(table.c.id)
        if connection.execute(statement, row).scalar() is not None:
            return Enqueued(row["id"])
        there = connection.execute(_holder, {"of": row["task"], "key": row["unique_key"]}).scalar()
        if there is not None:
            return Enqueued(there, created=False)
    raise RuntimeError(f"{row['task']}: jobs with this unique key come and go too fast to add one.")


_insert_one = insert(table)
_holder = select(table.c.id).where(
    table.c.task == bindparam("of"), table.c.unique_key == bindparam("key")
)


def _unless_there(dialect: str) -> Insert:
    return insert_into(table, dialect).on_conflict_do_nothing()
