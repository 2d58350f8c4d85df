"""Look through the kept problems by a filter, a bounded number of rows at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy.problem_log.reading import KeptProblem, problem_of
from roadworthy.problem_log.table import table

__all__ = ["LOOKED_AT", "Found", "ProblemFilter", "browse", "get"]

Here: TypeAlias = AsyncSession | AsyncConnection

LOOKED_AT: Final = 20_000
"""Rows that one look goes through: a filter that nothing fits costs no more."""
_CLASS: Final = 100
"""Statuses of one class, such as 500 to 599."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemFilter:
    """Which problems are meant; what is None does not count.

    Args:
        code: The error code.
        route: The template of the route.
        status_class: 4 for the statuses 400 to 499, 5 for 500 to 599.
        caller: The hash of a caller.
        since: At this time or later, with a zone.
    """

    code: str | None = None
    route: str | None = None
    status_class: int | None = None
    caller: str | None = None
    since: datetime | None = None

    def conditions(self, row: Any) -> list[ColumnElement[bool]]:
        """Return the conditions on these columns, all of which a problem has to meet."""
        same = ((row.code, self.code), (row.route, self.route), (row.caller, self.caller))
        found: list[ColumnElement[bool]] = [col == value for col, value in same if value]
        if self.status_class is not None:
            first = self.status_class * _CLASS
            found.append(row.status.between(first, first + _CLASS - 1))
        if self.since is not None:
            found.append(row.at >= self.since)
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """One page of problems, the newest first."""

    problems: list[KeptProblem]
    older: str | None
    """The id to go on from; None where nothing older is left."""


async def browse(
    session: Here, which: ProblemFilter, *, limit: int = 50, before: str | None = None
) -> Found:
    """Return the newest problems that a filter means, among the newest 20,000 before an id.

    Where none of these fits, `older` still says where to go on.
    """
    rows = table.c
    newer = [] if before is None else [rows.id < before]
    last = select(rows.id).where(*newer).order_by(rows.id.desc()).offset(LOOKED_AT - 1).limit(1)
    end = (await session.execute(last)).scalar()
    ids = list((await session.execute(_ids(newer, which, limit + 1))).scalars())
    query = select(table).where(rows.id.in_(ids[:limit])).order_by(rows.id.desc())
    found = [problem_of(row) for row in await session.execute(query)] if ids else []
    return Found(found, found[-1].id if len(ids) > limit else end)


def _ids(newer: list[ColumnElement[bool]], which: ProblemFilter, limit: int) -> Select[Any]:
    # The inner limit bounds what is looked at, whichever index a planner would rather take;
    # and frames of crashes are not read for rows that do not fit.
    row = table.c
    columns = (row.id, row.code, row.route, row.caller, row.status, row.at)
    looked_at = select(*columns).where(*newer).order_by(row.id.desc()).limit(LOOKED_AT).subquery()
    fits = which.conditions(looked_at.c)
    return select(looked_at.c.id).where(*fits).order_by(looked_at.c.id.desc()).limit(limit)


async def get(session: Here, id: str) -> KeptProblem | None:  # noqa: A002 - the field's word
    """Return the problem of this id, or None."""
    row = (await session.execute(select(table).where(table.c.id == id))).one_or_none()
    return None if row is None else problem_of(row)
