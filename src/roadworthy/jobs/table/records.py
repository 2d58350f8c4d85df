"""What operators do with jobs: look at them, retry them, cancel them.

from roadworthy import jobs

record = await jobs.get(session, job_id)
await jobs.retry(tx, job_id)
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeAlias, TypeVar, cast

from sqlalchemy import (
    Connection,
    Select,
    String,
    Update,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.insert import turn_at
from roadworthy.jobs.table.moves import in_state, kept_key, moved
from roadworthy.jobs.table.signals import announce
from roadworthy.jobs.table.states import TRANSITIONS, WAITING, State
from roadworthy.jobs.table.tables import table, utc, utc_or_none

__all__ = [
    "JobRecord",
    "QueueStats",
    "Stats",
    "Status",
    "browse",
    "cancel",
    "cancel_one",
    "change",
    "ending",
    "get",
    "key_holder",
    "retry",
    "retry_one",
    "retrying",
    "stats",
    "status_of",
    "stopping",
    "waiting",
]

P = ParamSpec("P")
R = TypeVar("R")

Status: TypeAlias = Literal["queued", "running", "retrying", "succeeded", "dead", "cancelled"]
"""Where a job stands, in words for clients."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands in the table; times are in UTC."""

    id: str
    task: str
    state: State
    queue: str
    priority: int
    arguments: str
    """The arguments, as JSON."""
    attempts: int
    """How many attempts have begun."""
    enqueued_at: datetime
    run_at: datetime
    """The earliest time of the next attempt, or of the last one."""
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    request_id: str | None
    error_code: str | None
    error: str | None
    """The last exception's class and text: not for clients."""
    progress: float | None
    progress_note: str | None
    expires_at: datetime | None = None
    """The time from which on nobody begins it any more."""
    limit_key: str | None = None
    """Jobs of one key share a limit."""
    unique_key: str | None = None
    """While the job has it, no other of its task is added with it."""
    cancel_requested: bool = False
    """Whether it was told to stop as it ran."""

    @property
    def status(self) -> Status:
        """The state in words for clients: a job that waits is queued, or retrying."""
        return status_of(self.state, self.attempts)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """What waits in one queue."""

    depth: int
    """Jobs that are due and wait for a worker."""
    oldest: timedelta
    """How long the oldest of them has been due."""


@dataclass(frozen=True, slots=True)
class Stats:
    """How many jobs there are in each state, and what waits in each queue."""

    states: Mapping[State, int]
    queues: Mapping[str, QueueStats]


Here: TypeAlias = AsyncSession | AsyncConnection
_NAMES: Final = tuple(field.name for field in fields(JobRecord))
_COLUMNS: Final = tuple(table.c[name] for name in _NAMES)


def _checked(
    ask: Callable[Concatenate[Here, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Here, P], Coroutine[Any, Any, R]]:
    """Have a function refuse what cannot be awaited in, also where nobody awaits it."""

    @wraps(ask)
    def checked(session: Here, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return ask(to_await(session, f"jobs.{ask.__name__}"), *args, **kwargs)

    return checked


@_checked
async def get(session: Here, id: str) -> JobRecord | None:  # noqa: A002 - the field's word
    """Return the job of this id, or None."""
    rows = await _fetch(session, select(*_COLUMNS).where(table.c.id == id))
    return _record(rows[0]) if rows else None


@_checked
async def browse(
    session: Here,
    *,
    state: State | Literal["retrying"] | None = None,
    task: str | None = None,
    queue: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> list[JobRecord]:
    """Return jobs, the newest first; `before` is the id to go on from.

    `"retrying"` is no state: these wait, and have been tried before.
    """
    query = select(*_COLUMNS).order_by(table.c.id.desc()).limit(limit)
    if state == "retrying":
        query = query.where(in_state(*WAITING), table.c.attempts > 0)
    elif state is not None:
        query = query.where(in_state(State(state)))  # it is written into the statement
    if task is not None:
        query = query.where(table.c.task == task)
    if queue is not None:
        query = query.where(table.c.queue == queue)
    if before is not None:
        query = query.where(table.c.id < before)
    return [_record(row) for row in await _fetch(session, query)]


@_checked
async def retry(session: Here, id: str) -> bool:  # noqa: A002
    """Queue a dead, cancelled or parked job again; tell whether that was done.

    It has all its attempts before it, and its priority is a head start before what is
    enqueued now. It runs if and only if the transaction of `session` commits. A job with
    a unique key takes that again; where another job has it by now, nothing is queued, and
    `key_holder` says which job that is.
    """
    return await session.run_sync(retry_one, id)


@_checked
async def key_holder(session: Here, id: str) -> str | None:  # noqa: A002
    """Return the id of the job that holds the unique key of this job.

    That may be this job itself. None where the key is free, or the job has none.
    """
    found = await _fetch(session, _holder_of(id))
    return found[0].id if found else None


@_checked
async def cancel(session: Here, id: str) -> bool:  # noqa: A002
    """Cancel a job that waits, or stop one that runs; tell whether there was one.

    A coroutine is cancelled, a worker process ended; a thread has to look at `job.cancelled`.
    """
    return await session.run_sync(cancel_one, id)


@_checked
async def stats(session: Here) -> Stats:
    """Count the jobs of each state, and what waits in each queue."""
    states = await _fetch(session, select(table.c.state, func.count()).group_by(table.c.state))
    return Stats(
        states={State(state): count for state, count in states},
        queues=await waiting(session),
    )


@_checked
async def waiting(session: Here, now: datetime | None = None) -> dict[str, QueueStats]:
    """Return what is due in each queue, where something is: cheap enough for a check."""
    rows = await _fetch(session, _waiting)
    now = now or clock.now()
    return {
        queue: QueueStats(depth, max(timedelta(0), now - utc(since)))
        for queue, depth, since in rows
    }


_waiting = (
    select(table.c.queue, func.count(), func.min(table.c.run_at))
    .where(in_state(State.QUEUED))
    .group_by(table.c.queue)
)


async def _fetch(session: Here, query: Select[*tuple[Any, ...]]) -> list[Any]:
    return await session.run_sync(lambda tx: list(connection_of(tx).execute(query)))


_priority = select(table.c.priority).where(table.c.id == bindparam("of_id", type_=String))


def _holder_of(id_: str) -> Select[*tuple[Any, ...]]:
    mine, holder = table.alias("mine"), table.alias("holder")
    same_key = (holder.c.task == mine.c.task) & (holder.c.unique_key == mine.c.unique_of)
    return select(holder.c.id).select_from(mine.join(holder, same_key)).where(mine.c.id == id_)


def status_of(state: State, attempts: int) -> Status:
    """Return a state in words for clients: a job that waits is queued, or retrying."""
    if state in WAITING:
        return "retrying" if attempts else "queued"
    return cast("Status", state.value)


def ending(move: str, code: str) -> Update:
    """Return the UPDATE that ends waiting jobs by a move, and frees their unique keys."""
    ended: dict[str, Any] = {"finished_at": clock.now(), "error_code": code}
    return moved(move).values(**ended, unique_of=kept_key(), unique_key=None)


def stopping() -> Update:
    """Return the UPDATE that asks running jobs to stop."""
    running = in_state(*TRANSITIONS["stop"].source)
    return update(table).where(running).values(cancel_requested=True)


def retrying(now: datetime, priority: int) -> Update:
    """Return the UPDATE that queues ended jobs of one priority again.

    The priority is a head start before what is enqueued now.
    """
    fresh: dict[str, Any] = {"attempts": 0, "run_at": now, "finished_at": None}
    fresh["turn_at"] = turn_at(now, priority)
    fresh["leased_until"] = None  # of a doorbell from before it was cancelled
    fresh["expires_at"] = None  # somebody wants it now, however late it is
    return moved("retry").values(cancel_requested=False, **fresh)


def retry_one(tx: Session | Connection, id_: str) -> bool:
    """Queue one ended job again, with its unique key if that is free; see `retry`."""
    connection = connection_of(tx)
    priority = connection.execute(_priority, {"of_id": id_}).scalar()
    if priority is None:
        return False
    again = retrying(clock.now(), priority).where(table.c.id == id_)
    holder = connection.execute(_holder_of(id_)).scalar()
    if holder is not None and holder != id_:
        return False
    try:
        # On PostgreSQL a refused statement would end the transaction; SQLite has one writer.
        with connection.begin_nested() if _has_savepoints(connection) else nullcontext():
            return change(tx, again.values(unique_of=kept_key(), unique_key=kept_key())) == 1
    except IntegrityError:  # another job took the key at the same moment
        return False


def cancel_one(tx: Session | Connection, id_: str) -> bool:
    """Cancel or stop one job; see `cancel`."""
    this = table.c.id == id_
    if change(tx, ending("cancel", "CANCELLED").where(this)):
        return True
    return change(tx, stopping().where(this), stop=True) == 1


def _has_savepoints(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def change(tx: Session | Connection, update: Update, *, stop: bool = False) -> int:
    """Change jobs, and have the engines look once it is committed; return how many."""
    connection = connection_of(tx)
    changed = connection.execute(update).rowcount
    if changed:
        announce(tx, connection, stop=stop)
    return changed


def _record(row: Any) -> JobRecord:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values |= {name: utc_or_none(values[name]) for name in _NAMES if name.endswith("_at")}
    values["state"] = State(values["state"])
    return JobRecord(**values)
