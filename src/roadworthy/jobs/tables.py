"""The tables of jobs, for migrations: `metadata` is also in `roadworthy.tables`."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

__all__ = ["Moment", "metadata", "schedules", "table"]


class Moment(TypeDecorator[datetime]):
    """A time in UTC, with its zone in Python: SQLite keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write UTC."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


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
    Column("turn_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("enqueued_at", Moment, nullable=False),
    Column("run_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("leased_until", Moment),
    Column("worker", String(100)),
    Column("cancel_requested", Boolean, nullable=False),
    Column("unique_key", String(200)),
    Column("unique_until", String(16)),
    Column("request_id", String(128)),
    Column("trace", String(100)),
    Column("error_code", String(100)),
    Column("error", Text),
    Column("progress", Float),
    Column("progress_note", String(200)),
)
"""One row a job: the truth, whatever carries the news of it."""

schedules = Table(
    "roadworthy_job_schedules",
    metadata,
    Column("task", String(200), primary_key=True),
    Column("spec", String(200), nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("ticks", BigInteger, nullable=False),
)
"""One row a scheduled task: whoever moves `next_at` enqueues the job of that tick."""


def _partial(name: str, state: str, *columns: str) -> None:
    # An index over the rows of one state stays as small as that state is, however
    # many finished jobs the table keeps: claims cost the same at a million rows.
    condition = text(state)
    picked = [table.c[column] for column in columns]
    Index(name, *picked, sqlite_where=condition, postgresql_where=condition)


_partial("ix_roadworthy_jobs_queued", "state = 'queued'", "queue", "runs_on", "turn_at", "id")
_partial("ix_roadworthy_jobs_scheduled", "state = 'scheduled'", "run_at")
_partial("ix_roadworthy_jobs_running", "state = 'running'", "leased_until")
_partial("ix_roadworthy_jobs_parked", "state = 'parked'", "task")
_partial("ix_roadworthy_jobs_dead", "state = 'dead'", "finished_at")
_partial("ix_roadworthy_jobs_done", "state IN ('succeeded', 'cancelled')", "finished_at")

Index(
    "uq_roadworthy_jobs_unique",
    table.c.task,
    table.c.unique_key,
    unique=True,
    sqlite_where=text("unique_key IS NOT NULL"),
    postgresql_where=text("unique_key IS NOT NULL"),
)
