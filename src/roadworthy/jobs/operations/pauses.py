"""Pause and resume queues, tasks and schedules: rows that claims and ticks respect.

    await operations.pause(tx, "queue", "mail", by="ana")

A paused queue is not claimed from: its jobs stay queued, and those that run go on. Jobs of
a paused task are parked as they are claimed; their attempts are not used. A paused schedule
has no ticks: a time that passes meanwhile is skipped, not made up for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, cast, get_args

from sqlalchemy import Connection, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._sqlalchemy.dialects import insert_into
from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.operations.actions import note_sync
from roadworthy.jobs.operations.arguments import name_of_operator
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.moves import moved
from roadworthy.jobs.table.paused import Pausable
from roadworthy.jobs.table.signals import announce
from roadworthy.jobs.table.tables import pauses, table, utc

__all__ = ["Pausable", "Pause", "pause", "paused", "resume"]

Here: TypeAlias = AsyncSession | AsyncConnection
_KINDS: Final = get_args(Pausable)
_MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Pause:
    """One paused queue, task or schedule."""

    kind: Pausable
    name: str
    since: datetime
    by: str


async def pause(session: Here, kind: Pausable, name: str, *, by: str) -> bool:
    """Pause a queue, a task or a schedule; return False where it is paused already.

    It counts from the commit of the session's transaction: no worker claims after that. The
    action is written down with it.

    Raises:
        ValueError: `kind` is none of "queue", "task", "schedule", or a name is empty or has
            more than 200 characters.
    """
    row = {"kind": _kind(kind), "name": _named(name), "since": clock.now()}
    row["paused_by"] = name_of_operator(by)
    return await to_await(session, "operations.pause").run_sync(_insert, row)


async def resume(session: Here, kind: Pausable, name: str, *, by: str) -> bool:
    """End a pause, and write that down; return False where there was none.

    Workers hear of it as the transaction commits. Parked jobs of the task are queued.

    Raises:
        ValueError: `kind` is none of "queue", "task", "schedule", or `by` is empty.
    """
    here, by = to_await(session, "operations.resume"), name_of_operator(by)
    return await here.run_sync(_resume, _kind(kind), name, by)


async def paused(session: Here) -> list[Pause]:
    """Return everything that is paused, by kind and name."""
    here = to_await(session, "operations.paused")
    return await here.run_sync(lambda tx: [_pause(row) for row in connection_of(tx).execute(_all)])


_all = select(pauses).order_by(pauses.c.kind, pauses.c.name)


def _insert(tx: Session | Connection, row: dict[str, Any]) -> bool:
    connection = connection_of(tx)
    new = insert_into(pauses, connection.dialect.name).values(row).on_conflict_do_nothing()
    if connection.execute(new).rowcount == 0:
        return False
    note_sync(connection, "pause", {row["kind"]: row["name"]}, by=row["paused_by"], jobs=0)
    return True


def _resume(tx: Session | Connection, kind: Pausable, name: str, by: str) -> bool:
    connection = connection_of(tx)
    this = (pauses.c.kind == kind) & (pauses.c.name == name)
    if connection.execute(delete(pauses).where(this)).rowcount == 0:
        return False
    queued = 0
    if kind == "task":
        queued = connection.execute(moved("unpark").where(table.c.task == name)).rowcount
    note_sync(connection, "resume", {kind: name}, by=by, jobs=queued)
    announce(tx, connection)
    return True


def _pause(row: Any) -> Pause:
    return Pause(row.kind, row.name, utc(row.since), row.paused_by)


def _kind(kind: str) -> Pausable:
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} cannot be paused. Write one of {_among(_KINDS)}.")
    return cast("Pausable", kind)


def _named(name: str) -> str:
    if not name or len(name) > _MAX_NAME:
        raise ValueError(f"A name has 1 to {_MAX_NAME} characters; this one has {len(name)}.")
    return name


def _among(kinds: Iterable[str]) -> str:
    return ", ".join(f'"{kind}"' for kind in kinds)
