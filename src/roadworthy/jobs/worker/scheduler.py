"""Scheduled tasks: each tick becomes one job, however many workers watch the clock.

Each schedule has a row. The worker that moves `next_at` of the row from this tick to the next one
enqueues the job, in the same transaction; other workers find the row moved. All ticks that were
missed while nothing ran become one job.

While two versions of an application run, a task may have two schedules, each with a row. The row
under the task's name belongs to the version that had it first, and is taken over when it was not
moved for a minute. So each version has its ticks, whichever started last.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import LAST
from roadworthy._sqlalchemy.dialects import insert_into
from roadworthy.jobs.table.insert import add_sync
from roadworthy.jobs.table.paused import schedule_is_paused
from roadworthy.jobs.table.tables import schedules, utc, utc_or_none
from roadworthy.jobs.task import Task
from roadworthy.jobs.worker.recorder import may_pass
from roadworthy.jobs.worker.watch import Mistaken, Tick, Watch

__all__ = ["Scheduler"]


class Scheduler:
    """Enqueue the jobs of tasks that have a schedule.

    Args:
        tasks: The tasks.
    """

    def __init__(self, tasks: Iterable[Task[...]]) -> None:
        self._watches = [
            Watch(task, task.terms.schedule)
            # In the same order everywhere, so that no two transactions wait for each other.
            for task in sorted(tasks, key=lambda task: task.name)
            if task.terms.schedule is not None
        ]

    async def enqueue_due(self, connection: AsyncConnection, now: datetime) -> datetime | None:
        """Enqueue the jobs that are due, and return the time of the next tick.

        This runs in the caller's transaction. A new or changed schedule begins with its next
        time from now.
        """
        if not self._watches:
            return None
        rows = await self._rows(connection)
        times = [await _look(connection, watch, rows, now) for watch in self._watches]
        return min(times, default=None)

    async def overdue(self, connection: AsyncConnection, now: datetime) -> bool:
        """Return whether the table has a tick that is due and was not taken."""
        if not self._watches:
            return False
        rows = await self._rows(connection)
        return any(_is_overdue(watch, rows, now) for watch in self._watches)

    async def _rows(self, connection: AsyncConnection) -> dict[str, Tick]:
        keys = [key for watch in self._watches for key in _keys(watch)]
        found = await connection.execute(_rows, {"keys": keys})
        return {row.task: _tick_of(row) for row in found}


def _tick_of(row: Any) -> Tick:
    asked = utc_or_none(row.asked_at)
    return Tick(row.task, row.spec, utc(row.next_at), row.ticks, asked, paused=bool(row.paused))


def _keys(watch: Watch) -> list[str]:
    try:
        return [watch.name, watch.own_key()]
    except Mistaken:
        return [watch.name]


def _is_overdue(watch: Watch, rows: dict[str, Tick], now: datetime) -> bool:
    if watch.has_failed():
        return not watch.rests(now)
    try:
        row = watch.row_of(rows)
    except Mistaken:
        return False
    return row is None or row.next_at <= now or row.asked_at is not None


async def _look(
    connection: AsyncConnection, watch: Watch, rows: dict[str, Tick], now: datetime
) -> datetime:
    """Enqueue the job of a task if it is due; return when to look again."""
    try:
        return await _tick(connection, watch, rows, now)
    except Mistaken as mistaken:
        return await watch.fail(mistaken, now)
    except Exception as error:  # a failure of this task only, unless it is one of the database
        if may_pass(error):
            raise
        return await watch.fail(error, now)


async def _tick(
    connection: AsyncConnection, watch: Watch, rows: dict[str, Tick], now: datetime
) -> datetime:
    row = watch.row_of(rows)
    if row is None:
        row = await _begin(connection, watch, rows, now)
    elif row.key != watch.name:
        row = await _settle(connection, watch, row, rows.get(watch.name), now)
    if row.next_at == LAST and not watch.rests(now):
        row = await _find_again(connection, watch, row, now)
    watch.remembered = row.next_at
    if row.asked_at is not None and await _run_now(connection, watch, row, now):
        return row.next_at
    return row.next_at if row.next_at > now else await _enqueue(connection, watch, row, now)


async def _enqueue(connection: AsyncConnection, watch: Watch, row: Tick, now: datetime) -> datetime:
    call, later = watch.call(), await watch.after_or_never(now)
    if row.paused:
        await _move(connection, row, row.key, later, ticks=row.ticks)
    else:
        async with connection.begin_nested():
            if await _move(connection, row, row.key, later, ticks=row.ticks + 1, at=now):
                await connection.run_sync(add_sync, call)
    watch.remembered = later
    return later


async def _run_now(connection: AsyncConnection, watch: Watch, row: Tick, now: datetime) -> bool:
    """Enqueue the job that an operator asked for, unless another worker has."""
    call = watch.call()
    async with connection.begin_nested():
        given = {"of": row.key, "asked": row.asked_at, "at": now}
        if (await connection.execute(_answering, given)).rowcount != 1:
            return False
        await connection.run_sync(add_sync, call)
    return True


async def _begin(
    connection: AsyncConnection, watch: Watch, rows: dict[str, Tick], now: datetime
) -> Tick:
    """Insert the row of a schedule that has none."""
    next_at = watch.remembered or watch.after(now)
    plain = rows.get(watch.name)
    key = watch.name if plain is None or plain.is_abandoned(now) else watch.own_key()
    row = Tick(key, watch.spec(), next_at, 0)
    if plain is not None and key == watch.name:
        await _take_over(connection, plain, row)
    else:
        given = {"task": key, "spec": row.spec, "next_at": next_at, "ticks": 0}
        await connection.execute(_insert(connection.dialect.name), given)
    return row


async def _settle(
    connection: AsyncConnection, watch: Watch, own: Tick, plain: Tick | None, now: datetime
) -> Tick:
    """Give a schedule its row, unless another version of the task has it still."""
    if plain is None or not plain.is_abandoned(now):
        return own
    row = Tick(watch.name, own.spec, own.next_at, own.ticks)
    if not await _take_over(connection, plain, row):
        return own
    await connection.execute(_remove, {"of": own.key})
    return row


async def _find_again(connection: AsyncConnection, watch: Watch, row: Tick, now: datetime) -> Tick:
    """Ask a schedule without a next time whether it has one now."""
    next_at = watch.after(now)
    await _move(connection, row, row.key, next_at, ticks=row.ticks)
    return Tick(row.key, row.spec, next_at, row.ticks)


async def _take_over(connection: AsyncConnection, plain: Tick, row: Tick) -> bool:
    return await _move(connection, plain, row.key, row.next_at, ticks=row.ticks, spec=row.spec)


async def _move(
    connection: AsyncConnection,
    was: Tick,
    key: str,
    later: datetime,
    *,
    ticks: int,
    spec: str | None = None,
    at: datetime | None = None,
) -> bool:
    """Change a row unless it has changed meanwhile; return whether that was done."""
    given = {"of": key, "of_spec": was.spec, "was": was.next_at, "later": later, "number": ticks}
    given |= {"into": spec or was.spec, "at": at}
    moved = await connection.execute(_moving, given)
    return moved.rowcount == 1


_rows = select(schedules, schedule_is_paused().label("paused")).where(
    schedules.c.task.in_(bindparam("keys", expanding=True))
)
_moving = (
    update(schedules)
    .where(
        schedules.c.task == bindparam("of"),
        schedules.c.spec == bindparam("of_spec"),
        schedules.c.next_at == bindparam("was"),
    )
    .values(
        next_at=bindparam("later"),
        spec=bindparam("into"),
        ticks=bindparam("number"),
        last_at=func.coalesce(bindparam("at", type_=schedules.c.last_at.type), schedules.c.last_at),
    )
)
_answering = (
    update(schedules)
    .where(schedules.c.task == bindparam("of"), schedules.c.asked_at == bindparam("asked"))
    .values(asked_at=None, last_at=bindparam("at"), ticks=schedules.c.ticks + 1)
)
_remove = delete(schedules).where(schedules.c.task == bindparam("of"))


def _insert(dialect: str) -> Any:
    return insert_into(schedules, dialect).on_conflict_do_nothing(index_elements=["task"])
