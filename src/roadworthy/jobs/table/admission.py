"""`Admission`: queue the jobs that their limits let run.

A job with a limit is enqueued as `blocked`. Whoever looks counts, for each key that has such
jobs, those that are queued or run and those that began lately, and queues the next ones, the
earliest turn first. A place is taken by a row that is queued or runs, and by nothing else: so
it is free again when the job ends, or when the lease of its worker does.

Two that look at once would count the same places. On PostgreSQL each key has a lock for the
rest of the transaction, which nobody waits for; on SQLite there is one writer.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    String,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    text,
    union,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.limits import Limit
from roadworthy.jobs.table.call import EnqueuedTask
from roadworthy.jobs.table.moves import in_state, moved
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import attempts, table, utc

__all__ = ["Admission", "anything_blocked"]

_KEYS: Final = 200
"""Keys that are looked at in one round: the rest follow in the next."""
_SOON: Final = timedelta(seconds=0.05)
"""When to look again, where another looked at the same key or there are more keys."""
_MOST: Final = 1000
"""Jobs of a key that are queued in one round."""


@dataclass(frozen=True, slots=True)
class _Line:
    """The jobs of one key that wait for a place."""

    key: str
    task: str
    active: int
    """Jobs of the key that are queued or run."""


class Admission:
    """Queue blocked jobs, as far as the limits of their tasks let them run.

    Args:
        tasks: The tasks of this process; the jobs of others stay blocked.
    """

    def __init__(self, tasks: Iterable[EnqueuedTask]) -> None:
        self._limits = {task.name: task.terms.limit for task in tasks}
        self.needed = any(limit is not None for limit in self._limits.values())
        """Whether a task has a limit."""
        self._after = ""
        """The key after which the next round goes on."""

    async def admit_if_needed(self, db: AsyncConnection, now: datetime) -> datetime | None:
        """Call `admit` where a task has a limit or a job is blocked; else return None.

        Jobs stay blocked when the limit of their task was taken away: they are let go here.
        """
        if self.needed or await anything_blocked(db):
            return await self.admit(db, now)
        return None

    async def admit(self, db: AsyncConnection, now: datetime) -> datetime | None:
        """Queue the jobs that there are places for; return when there may be more of them.

        Runs in the caller's transaction.
        """
        # This writes, so that on SQLite nobody else does until all is counted. Nobody runs
        # what has expired: it needs no place.
        await db.execute(_expired, {"now": now})
        lines = await self._lines(db)
        known = [line for line in lines if line.task in self._limits]
        for line in known:
            await self._free_if_unlimited(db, line)
        limited = {line.key: line for line in known if self._may_have_room(line)}
        locked = await _lock(db, list(limited))
        counted = await _counted(db, [limited[key] for key in locked])
        times = [await self._admit_next(db, line, now) for line in counted]
        if len(locked) < len(limited) or self._after:
            times.append(now + _SOON)
        return min((time for time in times if time is not None), default=None)

    async def _lines(self, db: AsyncConnection) -> list[_Line]:
        rows = (await db.execute(_lines, {"after": self._after, "most": _KEYS})).all()
        self._after = rows[-1].key if len(rows) == _KEYS else ""
        return [_Line(row.key, row.task, row.active) for row in rows]

    def _may_have_room(self, line: _Line) -> bool:
        limit = self._limits[line.task]
        return limit is not None and line.active < (limit.concurrency or math.inf)

    async def _free_if_unlimited(self, db: AsyncConnection, line: _Line) -> None:
        """Queue all jobs of a task that has no limit any more."""
        if self._limits[line.task] is None:
            await db.execute(_unlimited, {"of_key": line.key, "of_task": line.task, "most": _MOST})

    async def _admit_next(self, db: AsyncConnection, line: _Line, now: datetime) -> datetime | None:
        limit = self._limits[line.task]
        assert limit is not None  # noqa: S101 - `_may_have_room` has seen it
        places: float = (limit.concurrency or math.inf) - line.active
        again: datetime | None = None
        if limit.rate is not None:
            began, first = await _starts(db, line.key, limit, now)
            places = min(places, limit.rate - began)
            # What is queued now begins later than now, and no later than we look again.
            again = (first or now) + limit.per
        most = int(max(0, min(places, _MOST)))
        if most:
            await db.execute(_admit, {"of_key": line.key, "most": most})
        return again


async def anything_blocked(db: AsyncConnection) -> bool:
    """Return whether jobs wait for places: one look into a partial index."""
    return bool((await db.execute(select(exists().where(in_state(State.BLOCKED))))).scalar())


async def _lock(db: AsyncConnection, keys: Sequence[str]) -> list[str]:
    """Return the keys that nobody else looks at until this transaction ends."""
    if not keys or db.dialect.name != "postgresql":
        return list(keys)
    return list((await db.execute(_try, {"keys": list(keys)})).scalars())


async def _counted(db: AsyncConnection, lines: Sequence[_Line]) -> list[_Line]:
    """Count once more, now that nobody else queues jobs of these keys."""
    if not lines:
        return []
    rows = await db.execute(_active, {"keys": [line.key for line in lines]})
    active = {row.limit_key: row.active for row in rows}
    return [_Line(line.key, line.task, active.get(line.key, 0)) for line in lines]


async def _starts(
    db: AsyncConnection, key: str, limit: Limit, now: datetime
) -> tuple[int, datetime | None]:
    """Return how many jobs began within the period, and when the first of them did.

    Those that are queued count: they may begin at any moment.
    """
    # In this order: what begins in between is counted twice, and not left out.
    queued = int((await db.execute(_queued, {"of_key": key})).scalar_one())
    given = {"of_key": key, "since": now - limit.per, "most": limit.rate}
    starts = [utc(row.at) for row in await db.execute(_began, given)]
    return len(starts) + queued, min(starts, default=None)


_blocked = in_state(State.BLOCKED)
_of_key = table.c.limit_key == bindparam("of_key", type_=String)
_takes_place = table.c.limit_key.is_not(None) & in_state(State.QUEUED, State.RUNNING)
_expired = moved("admit").where(
    _blocked, table.c.expires_at.is_not(None), table.c.expires_at <= bindparam("now")
)
# From key to key by the index: the jobs in between, which may be many, are not read.
_lines = text(
    """
WITH RECURSIVE keys(key) AS (
    SELECT min(limit_key) FROM roadworthy_jobs WHERE state = 'blocked' AND limit_key > :after
    UNION ALL
    SELECT (SELECT min(limit_key) FROM roadworthy_jobs
            WHERE state = 'blocked' AND limit_key > keys.key)
    FROM keys WHERE keys.key IS NOT NULL
)
SELECT keys.key AS key,
    (SELECT first.task FROM roadworthy_jobs first
     WHERE first.state = 'blocked' AND first.limit_key = keys.key
     ORDER BY first.turn_at, first.id LIMIT 1) AS task,
    (SELECT count(*) FROM roadworthy_jobs taken WHERE taken.limit_key = keys.key
     AND taken.limit_key IS NOT NULL AND taken.state IN ('queued', 'running')) AS active
FROM keys WHERE keys.key IS NOT NULL LIMIT :most
"""
)
_asked = func.unnest(bindparam("keys", type_=ARRAY(String))).column_valued("key")
_try = select(_asked).where(
    func.pg_try_advisory_xact_lock(func.hashtextextended(_asked, literal_column("7561")))
)
_active = (
    select(table.c.limit_key, func.count().label("active"))
    .where(table.c.limit_key.in_(bindparam("keys", expanding=True)), _takes_place)
    .group_by(table.c.limit_key)
)
_queued = (
    select(func.count())
    .select_from(table)
    .where(_of_key, table.c.limit_key.is_not(None), in_state(State.QUEUED))
)
# The row of a job has its last start only. What failed before is kept as an attempt; where the
# last one has failed it is both, and counts once.
_both = union(
    select(table.c.id.label("job"), table.c.started_at.label("at")).where(
        _of_key,
        table.c.limit_key.is_not(None),
        table.c.started_at > bindparam("since"),
    ),
    select(attempts.c.job_id, attempts.c.began_at).where(
        attempts.c.limit_key == bindparam("of_key", type_=String),
        attempts.c.limit_key.is_not(None),
        attempts.c.began_at > bindparam("since"),
    ),
).subquery()
_began = select(_both.c.at).order_by(_both.c.at.desc()).limit(bindparam("most"))
_next = (
    select(table.c.id)
    .where(_blocked, _of_key)
    .order_by(table.c.turn_at, table.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("next")
)
_admit = moved("admit").where(table.c.id.in_(select(_next.c.id)))
_loose = (
    select(table.c.id)
    .where(_blocked, _of_key, table.c.task == bindparam("of_task"))
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("loose")
)
_unlimited: Any = moved("admit").where(table.c.id.in_(select(_loose.c.id)))
