"""How many jobs end: by minute over the last hour, and by queue, at a bounded cost."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table, utc

__all__ = ["Minute", "by_minute", "by_queue"]

Here: TypeAlias = AsyncSession | AsyncConnection

_MINUTE: Final = timedelta(minutes=1)
_COUNTED: Final = 20_000
"""Jobs of the last hour that are counted by minute, the last ones."""
_SAMPLE: Final = 2_000
"""Jobs of the last hour whose queues are looked at, the last ones."""
_HOUR: Final = timedelta(hours=1)
_ENDED: Final = in_state(State.SUCCEEDED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Minute:
    """The jobs that succeeded or were cancelled within one minute."""

    begins_at: datetime
    jobs: int | None
    """None where it was not counted: too many have ended since."""


async def by_minute(session: Here, *, minutes: int = 60) -> list[Minute]:
    """Return how many jobs ended in each of the last minutes, the oldest first.

    Read from an index, and no more than the 20,000 that ended last.
    """
    here = to_await(session, "operations.by_minute")
    return await here.run_sync(lambda tx: _by_minute(connection_of(tx), minutes))


async def by_queue(session: Here) -> dict[str, float]:
    """Return jobs per minute by queue: of the last 2,000 that ended within an hour."""
    here = to_await(session, "operations.by_queue")
    return await here.run_sync(lambda tx: _by_queue(connection_of(tx)))


def _by_minute(connection: Connection, minutes: int) -> list[Minute]:
    newest = clock.now().replace(second=0, microsecond=0)
    begins = [newest - _MINUTE * back for back in range(minutes - 1, -1, -1)]
    last = (
        select(table.c.finished_at.label("at"))
        .where(_ENDED, table.c.finished_at >= begins[0])
        .order_by(table.c.finished_at.desc())
        .limit(_COUNTED)
        .subquery()
    )
    minute = _minute_of(connection, last.c.at)
    rows = connection.execute(select(minute, func.count()).group_by(minute)).all()
    counts = {datetime.fromtimestamp(60 * int(at), UTC): number for at, number in rows}
    if sum(counts.values()) < _COUNTED:
        return [Minute(begin, counts.get(begin, 0)) for begin in begins]
    # The oldest one of these was not counted to its end.
    since = min(counts)
    return [Minute(begin, counts.get(begin, 0) if begin > since else None) for begin in begins]


def _minute_of(connection: Connection, at: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the minute of a time, counted from 1970."""
    if connection.dialect.name == "sqlite":
        return cast(func.strftime("%s", at), Integer) // 60
    return func.floor(func.extract("epoch", at) / 60)


def _by_queue(connection: Connection) -> dict[str, float]:
    now = clock.now()
    last = (
        select(table.c.queue, table.c.finished_at)
        .where(_ENDED, table.c.finished_at >= now - _HOUR)
        .order_by(table.c.finished_at.desc())
        .limit(_SAMPLE)
    )
    rows = connection.execute(last).all()
    if not rows:
        return {}
    since = utc(rows[-1].finished_at) if len(rows) == _SAMPLE else now - _HOUR
    minutes = max(1 / 60, (now - since) / _MINUTE)
    counts = Counter(row.queue for row in rows)
    return {queue: number / minutes for queue, number in counts.items()}
