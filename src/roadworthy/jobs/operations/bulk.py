"""Change all jobs that a filter means, in batches, each in a transaction of its own.

    done = await operations.retry_all(db, JobFilter(state="dead", task="shop.mail"), by="ana")

A batch is guarded in its WHERE: a job that has moved on meanwhile is left alone and counted
as kept. Batches go forward by id, so a job that dies again meanwhile is not retried twice,
and a process that is killed has done whole batches.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, func, select

from roadworthy.jobs.operations.actions import note_sync
from roadworthy.jobs.operations.arguments import name_of_operator
from roadworthy.jobs.operations.filters import JobFilter
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


async def retry_all(
    units: Units, meant: JobFilter, *, by: str, limit: int | None = None
) -> Changed:
    """Queue all dead, cancelled and parked jobs that are meant, the oldest first.

    Args:
        units: The `Database`, or what else `Jobs` was given.
        meant: Which jobs.
        by: Who does it, for the record of actions.
        limit: Jobs to look at, at most; None is all of them.
    """
    return await change_all(units, "retry", meant, by=by, limit=limit)


async def cancel_all(
    units: Units, meant: JobFilter, *, by: str, limit: int | None = None
) -> Changed:
    """Cancel all jobs that are meant and wait, and stop those that run; see `retry_all`."""
    return await change_all(units, "cancel", meant, by=by, limit=limit)


async def dismiss_all(
    units: Units, meant: JobFilter, *, by: str, limit: int | None = None
) -> Changed:
    """Put dead and parked jobs away as cancelled, with the code `DISMISSED`; see `retry_all`.

    Nothing is deleted: they can be retried until they are swept away.
    """
    return await change_all(units, "dismiss", meant, by=by, limit=limit)


async def change_all(
    units: Units, way: Way, meant: JobFilter, *, by: str, limit: int | None = None
) -> Changed:
    """Do one of the three to all jobs that are meant; see `retry_all`.

    Raises:
        ValueError: `by` is empty.
    """
    batch = _Batch(way, meant, name_of_operator(by))
    done, kept, last = 0, 0, ""
    while limit is None or done + kept < limit:
        most = BATCH if limit is None else min(BATCH, limit - done - kept)
        async with units.engine.begin() as connection:
            ids, changed = await connection.run_sync(batch.change, last, most)
        if not ids:
            break
        done, kept, last = done + changed, kept + len(ids) - changed, ids[-1]
    return Changed(done, kept)


async def count(units: Units, meant: JobFilter, *, most: int = 10_000) -> int:
    """Count the jobs that are meant, but no further than `most`.

    What it costs is bounded by `most`, and not by the size of the table.
    """
    some = select(table.c.id).where(*meant.conditions()).limit(most).subquery()
    async with units.engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(some))).scalar_one()


@dataclass(frozen=True, slots=True)
class _Batch:
    """One way to change jobs, a batch at a time."""

    way: Way
    meant: JobFilter
    by: str

    def change(self, connection: Connection, last: str, most: int) -> tuple[list[str], int]:
        """Change the next jobs after an id; return them, and how many were changed."""
        rows = connection.execute(self._next(last, most)).all()
        ids = [row.id for row in rows]
        changed = _CHANGES[self.way](connection, rows) if ids else 0
        if changed:
            note_sync(connection, f"{self.way}_all", self._target(), by=self.by, jobs=changed)
        return ids, changed

    def _next(self, last: str, most: int) -> Any:
        can_be = in_state(*_SOURCES[self.way])
        rows = select(table.c.id, table.c.unique_of, table.c.priority).where(
            can_be, table.c.id > last
        )
        rows = rows.where(*self.meant.conditions()).order_by(table.c.id).limit(most)
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
