"""Change all jobs that a filter means, in batches, each in a transaction of its own.

    done = await operations.retry_all(db, JobFilter(state="dead", task="shop.mail"), by="ana")

Jobs are looked for outside of the transaction that changes them, which is guarded in its WHERE:
a job that has moved on meanwhile is left alone and counted as kept. Batches go forward by id,
so a job that dies again meanwhile is not retried twice, and a process that is killed has done
whole batches.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.ext.asyncio import AsyncEngine

from roadworthy.jobs.operations.actions import note_sync
from roadworthy.jobs.operations.arguments import name_of_operator
from roadworthy.jobs.operations.filters import JobFilter
from roadworthy.jobs.operations.search import Walk, count_up_to, end_of
from roadworthy.jobs.table import clock, records
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.states import TRANSITIONS, State
from roadworthy.jobs.table.tables import table
from roadworthy.jobs.worker.context import Units

__all__ = ["Changed", "Way", "cancel_all", "change_all", "count", "dismiss_all", "retry_all"]

Way: TypeAlias = Literal["retry", "cancel", "dismiss"]
"""What can be done to many jobs at once."""
BATCH: Final = 500
"""Jobs that one transaction changes: on SQLite everybody else's writes wait for it."""
DISMISSED: Final = "DISMISSED"
"""The code of a dead or parked job that an operator has put away."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of the jobs that a filter meant."""

    done: int
    """Jobs that were changed."""
    kept: int
    """Jobs that could not be: another has their unique key, or they had moved on."""
    more: bool = False
    """Whether it ended at its limit, or when its time was up: others may be left."""


async def retry_all(
    units: Units,
    meant: JobFilter,
    *,
    by: str,
    limit: int | None = None,
    within: timedelta | None = None,
) -> Changed:
    """Queue all dead, cancelled and parked jobs that are meant, the oldest first.

    Args:
        units: The `Database`, or what else `Jobs` was given.
        meant: Which jobs.
        by: Who does it, for the record of actions.
        limit: Jobs to change or keep, at most; None is all of them.
        within: How long to go on: no batch begins after that. None is until all is done.
    """
    return await change_all(units, "retry", meant, by=by, limit=limit, within=within)


async def cancel_all(
    units: Units,
    meant: JobFilter,
    *,
    by: str,
    limit: int | None = None,
    within: timedelta | None = None,
) -> Changed:
    """Cancel all jobs that are meant and wait, and stop those that run; see `retry_all`."""
    return await change_all(units, "cancel", meant, by=by, limit=limit, within=within)


async def dismiss_all(
    units: Units,
    meant: JobFilter,
    *,
    by: str,
    limit: int | None = None,
    within: timedelta | None = None,
) -> Changed:
    """Put dead and parked jobs away as cancelled, with the code `DISMISSED`; see `retry_all`.

    Nothing is deleted: they can be retried until they are swept away.
    """
    return await change_all(units, "dismiss", meant, by=by, limit=limit, within=within)


async def change_all(
    units: Units,
    way: Way,
    meant: JobFilter,
    *,
    by: str,
    limit: int | None = None,
    within: timedelta | None = None,
) -> Changed:
    """Do one of the three to all jobs that are meant; see `retry_all`.

    Raises:
        ValueError: `by` is empty.
    """
    batch, end = _Batch(way, meant, name_of_operator(by)), end_of(within)
    done, kept, last = 0, 0, None
    while limit is None or done + kept < limit:
        most = BATCH if limit is None else min(BATCH, limit - done - kept)
        async with _reader(units).connect() as connection:
            ids, last = await connection.run_sync(batch.look, last, most, end)
        if ids:
            async with units.engine.begin() as connection:
                changed = await connection.run_sync(batch.change, ids)
            done, kept = done + changed, kept + len(ids) - changed
        if last is None:
            return Changed(done, kept)
        if monotonic() >= end:
            break
    return Changed(done, kept, more=True)


async def count(units: Units, meant: JobFilter, *, most: int = 10_000) -> int:
    """Count the jobs that are meant, but no further than `most`; see `count_up_to`."""
    async with _reader(units).connect() as connection:
        return (await count_up_to(connection, meant, most=most)).jobs


def _reader(units: Units) -> AsyncEngine:
    # On SQLite, who reads on the engine for writing keeps all writers waiting. On PostgreSQL,
    # the engine for reading may be that of a replica, which is late.
    if units.engine.dialect.name == "sqlite":
        return getattr(units, "read_engine", units.engine)
    return units.engine


@dataclass(frozen=True, slots=True)
class _Batch:
    """One way to change jobs, a batch at a time."""

    way: Way
    meant: JobFilter
    by: str

    def look(
        self, connection: Connection, last: str | None, most: int, end: float
    ) -> tuple[list[str], str | None]:
        """Return the next jobs after an id, and where to go on; None where there are no more."""
        walk = Walk(connection, self.meant, start=last, oldest_first=True)
        for part in walk.parts():
            found = select(part.jobs.c.id).where(*part.conditions)
            found = found.where(part.jobs.c.state.in_(_SOURCES[self.way]))
            ids = list(connection.scalars(found.order_by(part.jobs.c.id).limit(most)))
            if len(ids) == most:
                return ids, ids[-1]
            if ids or part.edge is None or monotonic() >= end:
                return ids, part.edge
        return [], None

    def change(self, connection: Connection, ids: list[str]) -> int:
        """Change those of these jobs that still are meant; return how many."""
        rows = connection.execute(self._these(ids)).all()
        changed = _CHANGES[self.way](connection, rows) if rows else 0
        if changed:
            note_sync(connection, f"{self.way}_all", self._target(), by=self.by, jobs=changed)
        return changed

    def _these(self, ids: list[str]) -> Any:
        can_be = in_state(*_SOURCES[self.way])
        rows = select(table.c.id, table.c.unique_of, table.c.priority).where(_among(ids), can_be)
        rows = rows.where(*self.meant.conditions()).order_by(table.c.id)
        return rows.with_for_update(skip_locked=True)

    def _target(self) -> dict[str, str]:
        return self.meant.chosen() or {"jobs": "all"}


def _retry(connection: Connection, rows: Sequence[Any]) -> int:
    """Retry those without a unique key at once, and each of the others by itself."""
    done = sum(records.retry_one(connection, row.id) for row in rows if row.unique_of is not None)
    free = defaultdict[int, list[str]](list)
    for row in rows:
        if row.unique_of is None:
            free[row.priority].append(row.id)
    now = clock.now()
    return done + sum(
        records.change(connection, records.retrying(now, priority).where(_among(ids)))
        for priority, ids in free.items()
    )


def _cancel(connection: Connection, rows: Sequence[Any]) -> int:
    these = _among(row.id for row in rows)
    done = records.change(connection, records.ending("cancel", "CANCELLED").where(these))
    return done + records.change(connection, records.stopping().where(these), stop=True)


def _dismiss(connection: Connection, rows: Sequence[Any]) -> int:
    these = _among(row.id for row in rows)
    return records.change(connection, records.ending("dismiss", DISMISSED).where(these))


def _among(ids: Iterable[str]) -> ColumnElement[bool]:
    return table.c.id.in_(list(ids))


_CHANGES: Final[dict[Way, Callable[[Connection, Sequence[Any]], int]]] = {
    "retry": _retry,
    "cancel": _cancel,
    "dismiss": _dismiss,
}
_SOURCES: Final[dict[Way, tuple[State, ...]]] = {
    "retry": TRANSITIONS["retry"].source,
    "cancel": (*TRANSITIONS["cancel"].source, *TRANSITIONS["stop"].source),
    "dismiss": TRANSITIONS["dismiss"].source,
}
