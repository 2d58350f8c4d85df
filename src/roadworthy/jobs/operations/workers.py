"""Which processes run jobs: their rows, written with each heartbeat."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._sqlalchemy.transactions import connection_of, to_await
from roadworthy.jobs.table import clock
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.presence import Role
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table, utc, workers

__all__ = ["WorkerRecord", "running"]

Here: TypeAlias = AsyncSession | AsyncConnection


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One process that runs or relays jobs; times are in UTC."""

    name: str
    """Its host, its process id, and eight characters that no other has."""
    host: str
    pid: int
    role: Role
    version: str | None
    """What `Jobs(version=...)` was given."""
    queues: tuple[str, ...]
    started_at: datetime
    seen_at: datetime
    """When its last heartbeat reached the table."""
    silent: bool
    """Whether its leases have ended: it hangs, or is gone."""
    running: int
    """Jobs whose lease it holds."""


async def running(session: Here, *, now: datetime | None = None) -> list[WorkerRecord]:
    """Return all workers that were seen within the last day, the newest first."""
    now = now or clock.now()
    here = to_await(session, "operations.running")
    rows = await here.run_sync(lambda tx: list(connection_of(tx).execute(_rows)))
    recent = [row for row in rows if utc(row.seen_at) > now - _A_DAY]
    return [_record(row, now) for row in recent]


_A_DAY: Final = timedelta(days=1)
_held = (
    select(table.c.worker, func.count().label("jobs"))
    .where(in_state(State.RUNNING))
    .group_by(table.c.worker)
    .subquery()
)
_rows = (
    select(workers, func.coalesce(_held.c.jobs, 0).label("running"))
    .outerjoin(_held, _held.c.worker == workers.c.name)
    .order_by(workers.c.started_at.desc())
)


def _record(row: Any, now: datetime) -> WorkerRecord:
    return WorkerRecord(
        name=row.name,
        host=row.host,
        pid=row.pid,
        role=row.role,
        version=row.version,
        queues=tuple(json.loads(row.queues)),
        started_at=utc(row.started_at),
        seen_at=utc(row.seen_at),
        silent=utc(row.expected_at) < now,
        running=row.running,
    )
