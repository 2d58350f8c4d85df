"""Ask how many problems there were, by time and by kind: of all of them, kept or not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._internal.calendar import utc
from roadworthy.problem_log.table import counts
from roadworthy.problem_log.tally import QUARTER, Kind

__all__ = ["Count", "by_kind", "by_quarter", "in_time"]

Here: TypeAlias = AsyncSession | AsyncConnection


@dataclass(frozen=True, slots=True)
class Count:
    """How many problems of one kind there were in one quarter of an hour."""

    begins_at: datetime
    code: str
    status: int
    route: str
    reason: str
    """Which case it was, as a code; empty for most."""
    problems: int


async def in_time(
    session: Here,
    *,
    since: timedelta = timedelta(hours=24),
    codes: tuple[str, ...] = (),
    statuses: tuple[int, ...] = (),
    route: str | None = None,
) -> list[Count]:
    """Return the counts since then, the oldest first; they are kept for a week.

    Args:
        session: What is asked.
        since: How far back; the quarter of an hour in which that lies counts whole.
        codes: Only these codes, where some are named.
        statuses: Only these statuses, where some are named.
        route: Only this route.
    """
    wanted = _meant(since, codes=codes, statuses=statuses, route=route)
    query = select(counts).where(*wanted).order_by(counts.c.begins_at, counts.c.code)
    return [_count(row) for row in await session.execute(query)]


async def by_quarter(
    session: Here,
    *,
    since: timedelta = timedelta(hours=24),
    codes: tuple[str, ...] = (),
    statuses: tuple[int, ...] = (),
    route: str | None = None,
) -> list[tuple[datetime, int, int]]:
    """Return how many there were in each quarter of an hour: when, class of status, number.

    The class is 4 for 400 to 499. The arguments are those of `in_time`.
    """
    wanted = _meant(since, codes=codes, statuses=statuses, route=route)
    kind = counts.c.status // 100
    query = (
        select(counts.c.begins_at, kind, func.sum(counts.c.problems))
        .where(*wanted)
        .group_by(counts.c.begins_at, kind)
        .order_by(counts.c.begins_at)
    )
    found = await session.execute(query)
    return [(utc(begins), int(status), int(number)) for begins, status, number in found]


async def by_kind(
    session: Here,
    *,
    since: timedelta = timedelta(hours=24),
    codes: tuple[str, ...] = (),
    statuses: tuple[int, ...] = (),
    route: str | None = None,
    most: int = 1000,
) -> list[tuple[Kind, int]]:
    """Return how many there were of each kind, the most frequent first; `most` kinds at most.

    The other arguments are those of `in_time`.
    """
    wanted = _meant(since, codes=codes, statuses=statuses, route=route)
    kind = (counts.c.code, counts.c.status, counts.c.route, counts.c.reason)
    number = func.sum(counts.c.problems)
    query = (
        select(*kind, number)
        .where(*wanted)
        .group_by(*kind)
        .order_by(number.desc(), *kind)
        .limit(most)
    )
    found = await session.execute(query)
    return [(Kind(code, status, at, why), int(n)) for code, status, at, why, n in found]


def _meant(
    since: timedelta, *, codes: tuple[str, ...], statuses: tuple[int, ...], route: str | None
) -> list[ColumnElement[bool]]:
    begin = datetime.now(UTC) - since - timedelta(seconds=QUARTER)
    wanted: list[ColumnElement[bool]] = [counts.c.begins_at > begin]
    if codes:
        wanted.append(counts.c.code.in_(codes))
    if statuses:
        wanted.append(counts.c.status.in_(statuses))
    if route is not None:
        wanted.append(counts.c.route == route)
    return wanted


def _count(row: Any) -> Count:
    kind = row.code, row.status, row.route, row.reason
    return Count(utc(row.begins_at), *kind, problems=row.problems)
