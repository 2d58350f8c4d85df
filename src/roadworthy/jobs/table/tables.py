"""The tables of jobs, for migrations: `metadata` is also in `roadworthy.tables`."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from roadworthy._internal.calendar import utc
from roadworthy._sqlalchemy import missing

__all__ = [
    "actions",
    "attempts",
    "lacking",
    "metadata",
    "pauses",
    "schedules",
    "table",
    "utc",
    "utc_or_none",
    "workers",
]


def utc_or_none(moment: datetime | None) -> datetime | None:
    """Return a time as `utc` does, or None where there is none."""
    return None if moment is None else utc(moment)


# A type of SQLAlchemy's own, so that a migration needs no import of ours.
_Time = DateTime(timezone=True)

metadata = MetaData()
"""The tables that `Jobs` needs."""

table = Table(
    "roadworthy_jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("task", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("runs_on", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("turn_at", _Time, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("enqueued_at", _Time, nullable=False),
    Column("run_at", _Time, nullable=False),
    Column("started_at", _Time),
    Column("finished_at", _Time),
    Column("leased_until", _Time),
    Column("worker", String(100)),
    Column("cancel_requested", Boolean, nullable=False),
    Column("unique_key", String(200)),
    Column("unique_until", String(16)),
    Column("unique_of", String(200)),  # its key also when that counts no more: for `retry`
    Column("request_id", String(128)),
    Column("trace", String(100)),
    Column("error_code", String(100)),
    Column("error", Text),
    Column("progress", Float),
    Column("progress_note", String(200)),
    Column("expires_at", _Time),
    Column("limit_key", String(200)),
)
"""One row a job: the truth, whatever carries the news of it."""

attempts = Table(
    "roadworthy_job_attempts",
    metadata,
    Column(
        "job_id",
        String(36),
        ForeignKey("roadworthy_jobs.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("id", String(36), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("began_at", _Time, nullable=False),
    Column("ended_at", _Time, nullable=False),
    Column("worker", String(100)),
    Column("error_code", String(100), nullable=False),
    Column("error", Text),
    Column("traceback", Text),
    Column("limit_key", String(200)),
)
"""One row an attempt that came to nothing; the row of the job has the one that succeeded."""

schedules = Table(
    "roadworthy_job_schedules",
    metadata,
    Column("task", String(200), primary_key=True),
    Column("spec", String(200), nullable=False),
    Column("next_at", _Time, nullable=False),
    Column("ticks", BigInteger, nullable=False),
    Column("last_at", _Time),
    Column("asked_at", _Time),
)
"""One row a scheduled task: whoever moves `next_at` enqueues the job of that tick.

`asked_at` is when an operator asked for a run between two ticks, until that is enqueued.
"""

pauses = Table(
    "roadworthy_job_pauses",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("since", _Time, nullable=False),
    Column("paused_by", String(200), nullable=False),
)
"""One row a queue, task or schedule that an operator has paused."""

workers = Table(
    "roadworthy_workers",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("host", String(100), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("version", String(100)),
    Column("queues", Text, nullable=False),
    Column("started_at", _Time, nullable=False),
    Column("seen_at", _Time, nullable=False),
    Column("expected_at", _Time, nullable=False),
)
"""One row a process that runs jobs or relays them; each heartbeat writes `seen_at`.

A worker that has not written by `expected_at` has lost its leases.
"""

actions = Table(
    "roadworthy_operator_actions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", _Time, nullable=False),
    Column("who", String(200), nullable=False),
    Column("what", String(50), nullable=False),
    Column("target", Text, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("request_id", String(128)),
)
"""One row an action of an operator: who did what to how many jobs."""


def lacking(connection: Connection) -> str | None:
    """Return the first table or column that a database lacks, or None."""
    return missing.lacking(connection, metadata)


def _partial(name: str, rows: str, *columns: str, of: Table = table) -> None:
    # An index over the rows of one state stays as small as that state is, however
    # many finished jobs the table keeps: claims cost the same at a million rows.
    condition = text(rows)
    picked = [of.c[column] for column in columns]
    Index(name, *picked, sqlite_where=condition, postgresql_where=condition)


_partial("ix_roadworthy_jobs_queued", "state = 'queued'", "queue", "runs_on", "turn_at", "id")
_partial("ix_roadworthy_jobs_scheduled", "state = 'scheduled'", "run_at")
_partial("ix_roadworthy_jobs_running", "state = 'running'", "leased_until")
_partial("ix_roadworthy_jobs_parked", "state = 'parked'", "task")
_partial("ix_roadworthy_jobs_dead", "state = 'dead'", "finished_at")
_partial("ix_roadworthy_jobs_done", "state IN ('succeeded', 'cancelled')", "finished_at")
_partial(
    "ix_roadworthy_jobs_by_state",
    "state <> 'running' AND state <> 'succeeded' AND state <> 'cancelled'",
    *("state", "id"),
)
_partial("ix_roadworthy_jobs_blocked", "state = 'blocked'", "limit_key", "turn_at", "id")
_partial(
    "ix_roadworthy_jobs_expiring", "state = 'blocked' AND expires_at IS NOT NULL", "expires_at"
)
_partial(
    "ix_roadworthy_jobs_admitted",
    "limit_key IS NOT NULL AND state IN ('queued', 'running')",
    "limit_key",
)
_partial("ix_roadworthy_jobs_started", "limit_key IS NOT NULL", "limit_key", "started_at")
_partial(
    "ix_roadworthy_job_attempts_began",
    "limit_key IS NOT NULL",
    *("limit_key", "began_at"),
    of=attempts,
)

Index("ix_roadworthy_operator_actions_at", actions.c.at)
Index("ix_roadworthy_jobs_request", table.c.request_id)

Index(
    "uq_roadworthy_jobs_unique",
    table.c.task,
    table.c.unique_key,
    unique=True,
    sqlite_where=text("unique_key IS NOT NULL"),
    postgresql_where=text("unique_key IS NOT NULL"),
)
