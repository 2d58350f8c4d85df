"""What waits in each queue, counted up to a bound: cheap however much waits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table, utc

__all__ = ["Backlog", "backlog"]

Here: TypeAlias = AsyncSession | AsyncConnection
_MOST_QUEUES: Final = 100
_queue: Any = table.c.queue


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due in one queue and waits for a worker."""

    queue: str
    depth: int
    """Jobs, counted up to the bound that was given."""
    oldest: timedelta
    """How long the oldest of those has been due."""


async def backlog(session: Here, *, most: int = 1000, now: datetime | None = None) -> list[Backlog]:
    """Return what waits in each queue, where something does; at most a hundred queues."""
    now = now or clock.now()
    here = to_await(session, "operations.backlog")
    return await here.run_sync(lambda tx: list(_backlogs(connection_of(tx), most, now)))


def _backlogs(connection: Connection, most: int, now: datetime) -> list[Backlog]:
    found: list[Backlog] = []
    name = connection.execute(_first).scalar()
    while name is not None and len(found) < _MOST_QUEUES:
        depth, since = connection.execute(_of_queue, {"of": name, "most": most}).one()
        if since is not None:  # None: the last one was taken meanwhile
            found.append(Backlog(name, depth, max(timedelta(0), now - utc(since))))
        name = connection.execute(_next, {"after": name}).scalar()
    return found


# From one queue to the next along the index: DISTINCT would read every job that waits.
_first = select(func.min(_queue)).where(in_state(State.QUEUED))
_next = _first.where(_queue > bindparam("after"))
_waiting = (
    select(literal(1), table.c.run_at)
    .where(in_state(State.QUEUED), _queue == bindparam("of"))
    .order_by(table.c.runs_on, table.c.turn_at)
    .limit(bindparam("most"))
    .subquery()
)
_of_queue = select(func.count(), func.min(_waiting.c.run_at))
