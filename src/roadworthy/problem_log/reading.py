"""Ask the kept problems: the last ones, those of one request, and how many of each kind."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._internal.calendar import utc
from roadworthy.problem_log.table import table

__all__ = ["Counted", "KeptProblem", "counted", "of_request", "problem_of", "recent"]

Here: TypeAlias = AsyncSession | AsyncConnection


@dataclass(frozen=True, slots=True)
class KeptProblem:
    """One problem that a client was told; the time is in UTC."""

    id: str
    at: datetime
    status: int
    code: str
    """The `X-Error-Code`; `LATE_FAILURE` where the answer had gone out as a success."""
    method: str
    route: str
    """The template, such as `/orders/{id}`; `-` where no route was met."""
    request_id: str
    caller: str | None
    """A hash by which two requests of one caller are known."""
    exception: str | None
    """The class of the exception, of a crash."""
    traceback: str | None
    """Types and frames, without messages and lines of source."""
    stands_for: int
    """How many problems of this code and route it stands for, itself included."""
    reason: str | None
    """Which case it was, as a code: the reason of a file that was refused."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many problems there were of one code, status and route."""

    code: str
    status: int
    route: str
    problems: int
    last_at: datetime


async def recent(
    session: Here,
    *,
    code: str | None = None,
    route: str | None = None,
    status_from: int = 400,
    limit: int = 50,
    before: str | None = None,
) -> list[KeptProblem]:
    """Return the last problems, the newest first; `before` is the id to go on from."""
    query = select(table).where(table.c.status >= status_from).order_by(table.c.id.desc())
    for column, wanted in ((table.c.code, code), (table.c.route, route)):
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(table.c.id < before)
    return [problem_of(row) for row in await session.execute(query.limit(limit))]


async def of_request(session: Here, request_id: str) -> list[KeptProblem]:
    """Return the problems of one request id, the newest first: a client may reuse its own."""
    query = select(table).where(table.c.request_id == request_id).order_by(table.c.id.desc())
    return [problem_of(row) for row in await session.execute(query.limit(_OF_REQUEST))]


async def counted(
    session: Here,
    *,
    since: timedelta = timedelta(hours=1),
    status_from: int = 0,
    newest: int | None = None,
) -> list[Counted]:
    """Count the problems since then by code, status and route, the most frequent first.

    Args:
        session: What is asked.
        since: How far back.
        status_from: Only those of this status and above.
        newest: Look at so many of the newest rows, and no more: what a page can wait for.
    """
    columns = (table.c.code, table.c.status, table.c.route, table.c.stands_for, table.c.at)
    recent_ones = select(*columns).where(table.c.at >= datetime.now(UTC) - since)
    if newest is not None:
        recent_ones = recent_ones.order_by(table.c.at.desc()).limit(newest)
    row = recent_ones.subquery().c
    number = func.sum(row.stands_for)
    query = (
        select(row.code, row.status, row.route, number, func.max(row.at))
        .where(row.status >= status_from)
        .group_by(row.code, row.status, row.route)
        .order_by(number.desc(), row.code, row.route)
    )
    return [
        Counted(code, status, route, int(problems), utc(last))
        for code, status, route, problems, last in await session.execute(query)
    ]


_OF_REQUEST: Final = 100
_NAMES: Final = tuple(field.name for field in fields(KeptProblem))


def problem_of(row: Any) -> KeptProblem:
    """Return the problem of a row of the table."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _NAMES}
    values["at"] = utc(row.at)
    return KeptProblem(**values)
