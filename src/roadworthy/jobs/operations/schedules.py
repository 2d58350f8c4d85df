"""Schedules as operators see them: when each ran last and runs next, and `run_now`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._internal.calendar import LAST
from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.operations.actions import note_sync
from roadworthy.jobs.operations.arguments import name_of_operator
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.paused import schedule_is_paused
from roadworthy.jobs.table.signals import announce
from roadworthy.jobs.table.tables import schedules, utc, utc_or_none

__all__ = ["ScheduleRecord", "run_now", "scheduled"]

Here: TypeAlias = AsyncSession | AsyncConnection


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """One scheduled task, as workers last wrote it; times are in UTC."""

    task: str
    spec: str
    """The schedule as text, such as `Cron 0 3 * * * UTC`."""
    next_at: datetime | None
    """None where the schedule fails, or has no time any more."""
    last_at: datetime | None
    """When its last job was enqueued."""
    ticks: int
    """Jobs enqueued so far."""
    paused: bool


async def scheduled(session: Here) -> list[ScheduleRecord]:
    """Return all schedules by name; while two versions run, a task may have two."""
    here = to_await(session, "operations.scheduled")
    return await here.run_sync(lambda tx: [_record(row) for row in connection_of(tx).execute(_all)])


async def run_now(session: Here, task: str, *, by: str) -> bool:
    """Have the job of a scheduled task enqueued once, now; return False if there is none.

    A worker enqueues it when it hears of the commit, also where the schedule is paused; the
    next tick stays where it is. The action is written down.

    Raises:
        ValueError: `by` is empty.
    """
    here = to_await(session, "operations.run_now")
    return await here.run_sync(_ask, task, name_of_operator(by))


_all = select(schedules, schedule_is_paused().label("paused")).order_by(schedules.c.task)


def _ask(tx: Session | Connection, task: str, by: str) -> bool:
    connection = connection_of(tx)
    asked = update(schedules).where(schedules.c.task == task).values(asked_at=clock.now())
    if connection.execute(asked).rowcount == 0:
        return False
    note_sync(connection, "run_now", {"schedule": task}, by=by, jobs=1)
    announce(tx, connection)
    return True


def _record(row: Any) -> ScheduleRecord:
    next_at = utc(row.next_at)
    return ScheduleRecord(
        task=row.task.partition("#")[0],
        spec=row.spec,
        next_at=None if next_at >= LAST else next_at,
        last_at=utc_or_none(row.last_at),
        ticks=row.ticks,
        paused=bool(row.paused),
    )
