"""Find the jobs that a filter means, a bounded part of the table at a time.

No index helps with every filter. So the table is gone through by id, which is by age, in
windows of some thousand jobs: of one state where the filter names a state, else of all. Each
window is one short statement, and a walk can be given a time that it may take.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from math import inf
from time import monotonic
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.operations.filters import Columns, JobFilter
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.records import Status, status_of
from roadworthy.jobs.table.states import WAITING, State
from roadworthy.jobs.table.tables import table, utc_or_none

__all__ = ["Counted", "Found", "JobSummary", "Part", "Walk", "count_up_to", "end_of", "find"]

Here: TypeAlias = AsyncSession | AsyncConnection
Rows: TypeAlias = Select[*tuple[Any, ...]]

FIRST: Final = 500
MOST: Final = 5_000
"""Jobs that a statement looks at: the first one, which often finds enough, and the others."""
_GROWTH: Final = 3
_NOT_BY_STATE: Final = (State.RUNNING, State.SUCCEEDED, State.CANCELLED)
"""The states that the index `ix_roadworthy_jobs_by_state` has not, in its order."""
_SLACK: Final = timedelta(minutes=1)
"""How far the time in an id may be from the time of enqueueing."""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job as a list shows it, without its arguments; times are in UTC."""

    id: str
    task: str
    state: State
    queue: str
    attempts: int
    enqueued_at: datetime
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    request_id: str | None
    error_code: str | None

    @property
    def status(self) -> Status:
        """The state in words for clients: a job that waits is queued, or retrying."""
        return status_of(self.state, self.attempts)


@dataclass(frozen=True, slots=True)
class Found:
    """Some of the jobs that a filter means, the newest first."""

    jobs: tuple[JobSummary, ...]
    before: str | None
    """The id to go on from; None where there are no more."""
    looked_to: datetime | None
    """Where the time was up before enough were found: how far back they were looked for."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many jobs a filter means."""

    jobs: int
    exact: bool
    """Whether these are all: counting ends at a number, or when its time is up."""


async def find(
    session: Here,
    meant: JobFilter,
    *,
    limit: int = 50,
    before: str | None = None,
    within: timedelta | None = None,
) -> Found:
    """Return jobs that are meant, the newest first.

    Args:
        session: A transaction; nothing is written.
        meant: Which jobs.
        limit: How many, at most.
        before: The id to go on from: `Found.before`.
        within: How long to look; None is to the end of the table.
    """
    here = to_await(session, "operations.find")
    return await here.run_sync(_find, meant, limit, before, end_of(within))


async def count_up_to(
    session: Here, meant: JobFilter, *, most: int = 10_000, within: timedelta | None = None
) -> Counted:
    """Count the jobs that are meant, no further than `most`, and no longer than `within`."""
    here = to_await(session, "operations.count_up_to")
    return await here.run_sync(_count, meant, most, end_of(within))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the table: some jobs, and what is asked of each."""

    jobs: Subquery
    conditions: list[ColumnElement[bool]]
    edge: str | None
    """The id after which the next part begins; None for the last."""


class Walk:
    """Go through the jobs of a filter by id, in parts that cost little each.

    Args:
        connection: Where to read.
        meant: Which jobs.
        start: The id to begin after.
        oldest_first: Whether to go forward in time.
    """

    def __init__(
        self,
        connection: Connection,
        meant: JobFilter,
        *,
        start: str | None = None,
        oldest_first: bool = False,
    ) -> None:
        self._connection, self._meant, self._start = connection, meant, start
        self._oldest_first = oldest_first
        wanted = [*_COLUMNS, table.c.arguments] if meant.text else list(_COLUMNS)
        self._columns = select(*wanted)

    def parts(self) -> Iterator[Part]:
        """Yield the parts of the table, one after the other."""
        if (few := self._few()) is not None:
            jobs = self._columns.where(few, *self._after(self._start)).limit(MOST).subquery()
            yield Part(jobs, self._asked(jobs.c), None)
            return
        start, size = self._start, FIRST
        edge = self._edge(start, MOST)
        if edge is not None:  # a table of one window is looked at whole, whatever its ids
            start = self._first(start)
            edge = self._edge(start, size)
        while edge is not None and not self._is_over(edge):
            yield self._window(start, size, edge)
            start, size = edge, min(MOST, size * _GROWTH)
            edge = self._edge(start, size)
        yield self._window(start, MOST, None)

    def order(self, id_: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the order of the walk."""
        return id_.asc() if self._oldest_first else id_.desc()

    def _window(self, start: str | None, size: int, edge: str | None) -> Part:
        # Its limit bounds what is looked at, whichever index a planner takes.
        jobs = self._in_order(self._columns, start).limit(size).subquery()
        return Part(jobs, self._asked(jobs.c), edge)

    def _edge(self, start: str | None, size: int) -> str | None:
        """Return the last id of a window, or None where the rest is shorter."""
        last = self._in_order(select(table.c.id), start).offset(size - 1).limit(1)
        return self._connection.execute(last).scalar()

    def _in_order(self, rows: Rows, start: str | None) -> Rows:
        """Return the jobs that are gone through, after an id."""
        state = self._meant.state
        if state is None or state in {"retrying", *_NOT_BY_STATE}:
            return rows.where(*self._after(start)).order_by(self.order(table.c.id))
        # Not `state = 'dead'`: planners would take an index of that state, or go through all
        # jobs by id. This order has the one index only, and each end of its range one bound.
        this = _word(State(state))
        both, bound = tuple_(table.c.state, table.c.id), tuple_(this, start)
        least, most = table.c.state >= this, table.c.state <= this
        if start is not None and self._oldest_first:
            least = both > bound
        elif start is not None:
            most = both < bound
        others = (table.c.state != _word(other) for other in _NOT_BY_STATE)
        rows = rows.where(*others, least, most)
        return rows.order_by(self.order(table.c.state), self.order(table.c.id))

    def _few(self) -> ColumnElement[bool] | None:
        """Return a condition that an index helps with and few jobs meet, or None."""
        if self._meant.request_id:
            few = table.c.request_id == self._meant.request_id
        elif self._meant.state == State.RUNNING:
            few = in_state(State.RUNNING)
        else:
            return None
        some = select(literal(1)).select_from(table).where(few).limit(MOST).subquery()
        counted = self._connection.execute(select(func.count()).select_from(some)).scalar_one()
        return few if counted < MOST else None

    def _asked(self, jobs: Columns) -> list[ColumnElement[bool]]:
        """Return what is asked of each job."""
        asked, state = self._meant.conditions_but_state(jobs), self._meant.state
        if state == "retrying":
            return [*asked, jobs["state"].in_(WAITING), jobs["attempts"] > 0]
        return asked if state is None else [*asked, jobs["state"] == State(state).value]

    def _after(self, start: str | None) -> list[ColumnElement[bool]]:
        if start is None:
            return []
        return [table.c.id > start if self._oldest_first else table.c.id < start]

    def _first(self, start: str | None) -> str | None:
        """Return where to begin: ids have the time, so others of another time are passed over."""
        earliest, latest = _ids_of(self._meant)
        bound = earliest if self._oldest_first else latest
        if start is None or bound is None:
            return start or bound
        return max(start, bound) if self._oldest_first else min(start, bound)

    def _is_over(self, edge: str) -> bool:
        """Return whether nothing that is meant comes after this id."""
        earliest, latest = _ids_of(self._meant)
        if self._oldest_first:
            return latest is not None and edge > latest
        return earliest is not None and edge < earliest


def _word(state: State) -> ColumnElement[str]:
    """Return a state as it is written into a statement: an index is not taken for a parameter."""
    return literal_column(f"'{state}'")


def _find(
    tx: Session | Connection, meant: JobFilter, limit: int, before: str | None, end: float
) -> Found:
    connection, found = connection_of(tx), list[Any]()
    walk = Walk(connection, meant, start=before)
    for part in walk.parts():
        rows = select(*(part.jobs.c[name] for name in _NAMES)).where(*part.conditions)
        rows = rows.order_by(walk.order(part.jobs.c.id)).limit(limit + 1 - len(found))
        found += connection.execute(rows)
        if len(found) > limit:
            return Found(_summaries(found[:limit]), found[limit - 1].id, None)
        if part.edge is not None and monotonic() >= end:
            return Found(_summaries(found), part.edge, _time_of(connection, part.edge))
    return Found(_summaries(found), None, None)


def _count(tx: Session | Connection, meant: JobFilter, most: int, end: float) -> Counted:
    connection, counted = connection_of(tx), 0
    for part in Walk(connection, meant).parts():
        these = select(func.count()).select_from(part.jobs).where(*part.conditions)
        counted += connection.execute(these).scalar_one()
        if counted >= most or (part.edge is not None and monotonic() >= end):
            return Counted(min(most, counted), exact=False)
    return Counted(counted, exact=True)


_NAMES: Final = tuple(field.name for field in fields(JobSummary))
_COLUMNS: Final = tuple(table.c[name] for name in _NAMES)


def _summaries(rows: list[Any]) -> tuple[JobSummary, ...]:
    return tuple(_summary(row) for row in rows)


def _summary(row: Any) -> JobSummary:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values |= {name: utc_or_none(values[name]) for name in _NAMES if name.endswith("_at")}
    values["state"] = State(values["state"])
    return JobSummary(**values)


def _time_of(connection: Connection, id_: str) -> datetime | None:
    """Return when a job was enqueued."""
    enqueued = select(table.c.enqueued_at).where(table.c.id == id_)
    return utc_or_none(connection.execute(enqueued).scalar())


def _ids_of(meant: JobFilter) -> tuple[str | None, str | None]:
    """Return ids before and after those of the jobs of the filter's time."""
    after, before = meant.enqueued_after, meant.enqueued_before
    return (
        None if after is None else _start_of_id(after.astimezone(UTC) - _SLACK),
        None if before is None else _start_of_id(before.astimezone(UTC) + _SLACK),
    )


def _start_of_id(moment: datetime) -> str:
    """Return how ids of a time begin (UUID version 7, RFC 9562 §5.7)."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:12]}"


def end_of(within: timedelta | None) -> float:
    """Return when a time is up that begins now, as `monotonic` counts."""
    return inf if within is None else monotonic() + within.total_seconds()
