"""The marks of jobs whose doorbell is on its way: each is rung for once.

`leased_until` of a queued row says until when its doorbell counts as on its way. A row
without it has not been rung; one whose time has run out may have lost its doorbell.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import String, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.paused import is_paused
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table
from roadworthy.jobs.task_options import RunsOn

__all__ = ["Line", "extend", "mark_announced", "overdue", "unmark", "unmark_overdue", "unmarked"]

Line = tuple[str, RunsOn]
"""A queue and a tier: jobs that wait for the same places."""

_GLANCED: Final = 5000
"""Rows that are looked at to see which lines have any."""


async def unmarked(db: AsyncConnection) -> list[Line]:
    """Return where there are jobs that have not been rung."""
    return [(row.queue, row.runs_on) for row in await db.execute(_unmarked)]


async def mark_announced(
    db: AsyncConnection, line: Line, until: datetime, *, most: int
) -> list[str]:
    """Mark the next jobs of a line that have not been rung, and return their ids."""
    queue, runs_on = line
    given = {"of_queue": queue, "of_tier": runs_on, "until": until, "most": most}
    return list((await db.execute(_mark, given)).scalars())


async def unmark(db: AsyncConnection, ids: Collection[str]) -> None:
    """Take marks back: the doorbells were not sent."""
    if ids:
        await db.execute(_unmark, [{"of_id": id_} for id_ in ids])


async def overdue(db: AsyncConnection, now: datetime) -> set[Line]:
    """Return where there are jobs whose mark has run out."""
    rows = await db.execute(_overdue, {"now": now})
    return {(row.queue, row.runs_on) for row in rows}


async def extend(db: AsyncConnection, line: Line, now: datetime, until: datetime) -> int:
    """Extend the marks of a line that have run out; return how many."""
    queue, runs_on = line
    given = {"of_queue": queue, "of_tier": runs_on, "now": now, "until": until}
    return (await db.execute(_extend, given)).rowcount


async def unmark_overdue(db: AsyncConnection, line: Line, now: datetime) -> int:
    """Take back the marks of a line that have run out; return how many."""
    queue, runs_on = line
    given = {"of_queue": queue, "of_tier": runs_on, "now": now, "until": None}
    return (await db.execute(_extend, given)).rowcount


_queued = in_state(State.QUEUED)
_some = (
    select(table.c.queue, table.c.runs_on)
    .where(_queued, table.c.leased_until.is_(None), ~is_paused("queue", table.c.queue))
    .limit(_GLANCED)
    .subquery()
)
_unmarked = select(_some.c.queue, _some.c.runs_on).distinct()
_next = (
    select(table.c.id)
    .where(
        _queued,
        table.c.queue == bindparam("of_queue"),
        table.c.runs_on == bindparam("of_tier"),
        table.c.leased_until.is_(None),
    )
    .order_by(table.c.turn_at, table.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("next")
)
_mark = (
    update(table)
    .where(table.c.id.in_(select(_next.c.id)))
    .values(leased_until=bindparam("until"))
    .returning(table.c.id)
)
_unmark = (
    update(table)
    .where(_queued, table.c.id == bindparam("of_id", type_=String))
    .values(leased_until=None)
)
_is_overdue = table.c.leased_until < bindparam("now")
_overdue = (
    select(table.c.queue, table.c.runs_on)
    .where(_queued, _is_overdue, ~is_paused("queue", table.c.queue))
    .distinct()
)
_extend = (
    update(table)
    .where(
        _queued,
        table.c.queue == bindparam("of_queue"),
        table.c.runs_on == bindparam("of_tier"),
        _is_overdue,
    )
    .values(leased_until=bindparam("until"))
)
