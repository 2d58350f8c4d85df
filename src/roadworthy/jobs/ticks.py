"""Scheduled tasks: each tick becomes one job, however many watch the clock.

There is a row for each schedule. Whoever moves its `next_at` from this tick to the
next one enqueues the job, in the same transaction; the others find it moved. Ticks
that were missed while nothing ran become one job, not many.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.insert import add_sync
from roadworthy.jobs.tables import schedules, utc
from roadworthy.jobs.task import Task

__all__ = ["Ticks"]


class Ticks:
    """Enqueue the jobs of tasks that have a schedule."""

    def __init__(self, tasks: Iterable[Task[...]]) -> None:
        self._tasks = {task.name: task for task in tasks if task.terms.schedule is not None}
        self._prepared = False

    async def pass_(self, connection: AsyncConnection, now: datetime) -> datetime | None:
        """Enqueue what is due, and return when the next tick is.

        Runs in the caller's transaction. A schedule that is new, or has changed, begins
        with its next time from now.
        """
        if not self._tasks:
            return None
        rows = await self._rows(connection)
        if not self._prepared and not self._fit(rows):
            await self._prepare(connection, now)
            rows = await self._rows(connection)
        else:
            # Believed where it is found, not where it is written: that may be rolled back.
            self._prepared = True
        times = [await self._tick(connection, row.task, utc(row.next_at), now) for row in rows]
        return min(times, default=None)

    async def _rows(self, connection: AsyncConnection) -> Sequence[Row[*tuple[Any, ...]]]:
        return (await connection.execute(_rows, {"tasks": list(self._tasks)})).all()

    def _fit(self, rows: Sequence[Row[*tuple[Any, ...]]]) -> bool:
        wanted = {name: task.terms.schedule for name, task in self._tasks.items()}
        return {row.task: row.spec for row in rows} == {
            name: schedule.spec for name, schedule in wanted.items() if schedule
        }

    async def _prepare(self, connection: AsyncConnection, now: datetime) -> None:
        for name, task in self._tasks.items():
            if (schedule := task.terms.schedule) is not None:
                row = {"task": name, "spec": schedule.spec, "next_at": schedule.after(now)}
                await connection.execute(_upsert(connection.dialect.name), {**row, "ticks": 0})

    async def _tick(
        self, connection: AsyncConnection, name: str, next_at: datetime, now: datetime
    ) -> datetime:
        task = self._tasks[name]
        schedule = task.terms.schedule
        if next_at > now or schedule is None:
            return next_at
        later = schedule.after(now)
        moved = await connection.execute(_move, {"of": name, "was": next_at, "later": later})
        if moved.rowcount == 1:
            await connection.run_sync(add_sync, task.call())
        return later


_rows = select(schedules.c.task, schedules.c.spec, schedules.c.next_at).where(
    schedules.c.task.in_(bindparam("tasks", expanding=True))
)
_move = (
    update(schedules)
    .where(schedules.c.task == bindparam("of"), schedules.c.next_at == bindparam("was"))
    .values(next_at=bindparam("later"), ticks=schedules.c.ticks + 1)
)


def _upsert(dialect: str) -> Any:
    kind = postgresql if dialect == "postgresql" else sqlite
    statement = kind.insert(schedules)
    return statement.on_conflict_do_update(
        index_elements=["task"],
        set_={"spec": statement.excluded.spec, "next_at": statement.excluded.next_at},
        where=schedules.c.spec != statement.excluded.spec,
    )
