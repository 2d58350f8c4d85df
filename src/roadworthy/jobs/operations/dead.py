"""Why jobs died: the dead ones by task and error code, counted up to a bound."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table, utc

__all__ = ["Causes", "DeadGroup", "causes"]

Here: TypeAlias = AsyncSession | AsyncConnection


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """The dead jobs of one task and one error code."""

    task: str
    error_code: str | None
    jobs: int
    last_at: datetime
    """When the last of them died, in UTC."""


@dataclass(frozen=True, slots=True)
class Causes:
    """The groups of those jobs that died last, the most recent first."""

    groups: tuple[DeadGroup, ...]
    complete: bool
    """Whether all dead jobs were looked at: only then the counts are those of all."""


async def causes(session: Here, *, most: int = 3_000) -> Causes:
    """Group the `most` jobs that died last by task and error code.

    What it costs is bounded by `most`, and not by how many are dead.
    """
    here = to_await(session, "operations.causes")
    return await here.run_sync(lambda tx: _causes(connection_of(tx), most))


def _causes(connection: Connection, most: int) -> Causes:
    last = (
        select(table.c.task, table.c.error_code, table.c.finished_at)
        .where(in_state(State.DEAD))
        .order_by(table.c.finished_at.desc())
        .limit(most)
        .subquery()
    )
    jobs, died = func.count().label("jobs"), func.max(last.c.finished_at).label("died")
    by_cause = select(last.c.task, last.c.error_code, jobs, died)
    by_cause = by_cause.group_by(last.c.task, last.c.error_code).order_by(died.desc())
    found = tuple(
        DeadGroup(task, code, number, utc(last_at))
        for task, code, number, last_at in connection.execute(by_cause)
    )
    return Causes(found, complete=sum(group.jobs for group in found) < most)
