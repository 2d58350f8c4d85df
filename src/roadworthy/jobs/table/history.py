"""`attempts`: tell of every attempt at a job, failed or still under way.

    for attempt in await jobs.attempts(session, job_id):
        print(attempt.attempt, attempt.error_code, attempt.worker)

An attempt that succeeds writes nothing here: it is the last one, and the job's row has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._internal.ids import new_id
from roadworthy._sqlalchemy.transactions import connection_of
from roadworthy.jobs.table import tables
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import utc, utc_or_none

__all__ = ["MAX_KEPT", "AttemptRecord", "Ended", "add", "attempts", "forget", "storable"]

MAX_KEPT: Final = 100
"""Attempts of a job that are kept, the last ones: some tasks only wait for something."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt at a job; times are in UTC."""

    attempt: int
    """Its number, from 1; `retry` begins with 1 again."""
    began_at: datetime
    ended_at: datetime | None
    """None while it runs. Where its worker died: when that was noticed."""
    worker: str | None
    error_code: str | None
    """None for the one that succeeded, and for one that runs."""
    error: str | None
    """The exception's class and text: not for clients."""
    traceback: str | None
    """Types and frames, without messages and lines of source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that came to nothing, to be kept."""

    job_id: str
    attempt: int
    began_at: datetime
    ended_at: datetime
    worker: str | None
    error_code: str
    error: str | None = None
    traceback: str | None = None
    limit_key: str | None = None


async def attempts(
    session: AsyncSession | AsyncConnection,
    id: str,  # noqa: A002 - the field's word
) -> list[AttemptRecord]:
    """Return the attempts at a job, the first one first; at most the last hundred."""
    return await session.run_sync(lambda tx: _read(connection_of(tx), id))


async def add(connection: AsyncConnection, ended: Sequence[Ended]) -> None:
    """Keep attempts that came to nothing."""
    if ended:
        await connection.execute(_insert, [_row(each) for each in ended])


async def forget(connection: AsyncConnection, job_id: str, attempt: int) -> None:
    """Remove what is too old to be kept, once a job has had this attempt."""
    if attempt > MAX_KEPT:
        await connection.execute(_forget, {"of": job_id, "before": attempt - MAX_KEPT})


def storable(text: str, most: int) -> str:
    """Return a text as both databases can store it, and no longer than `most`."""
    # Neither can store a NUL or half a surrogate pair, and an exception may hold both.
    return text[:most].encode(errors="backslashreplace").decode().replace("\0", "\\0")


_table = tables.attempts
_job = tables.table
_NAMES: Final = tuple(field.name for field in fields(AttemptRecord))
_ENDED: Final = tuple(field.name for field in fields(Ended))
_insert = insert(_table)
_forget = delete(_table).where(
    _table.c.job_id == bindparam("of"), _table.c.attempt <= bindparam("before")
)
_kept = (
    select(*(_table.c[name] for name in _NAMES))
    .where(_table.c.job_id == bindparam("of"))
    .order_by(_table.c.began_at, _table.c.id)
)
_last = select(
    *(_job.c.attempts, _job.c.started_at, _job.c.finished_at, _job.c.worker, _job.c.state)
).where(_job.c.id == bindparam("of"))


def _row(ended: Ended) -> dict[str, Any]:
    return {"id": new_id(), **{name: getattr(ended, name) for name in _ENDED}}


def _read(connection: Any, id_: str) -> list[AttemptRecord]:
    found = [_record(row) for row in connection.execute(_kept, {"of": id_})][-MAX_KEPT:]
    last = connection.execute(_last, {"of": id_}).first()
    if last is not None and last.state in {State.RUNNING, State.SUCCEEDED}:
        found.append(_told_by_the_job(last))
    return found


def _record(row: Any) -> AttemptRecord:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values |= {name: utc(values[name]) for name in ("began_at", "ended_at")}
    return AttemptRecord(**values)


def _told_by_the_job(row: Any) -> AttemptRecord:
    return AttemptRecord(
        attempt=row.attempts,
        began_at=utc(row.started_at),
        ended_at=utc_or_none(row.finished_at),
        worker=row.worker,
        error_code=None,
        error=None,
        traceback=None,
    )
