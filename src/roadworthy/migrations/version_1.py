"""The tables of Roadworthy's parts as version 1 has them, whatever comes after.

What a migration made yesterday it has to make tomorrow. `roadworthy.tables` has today's.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

__all__ = ["metadata"]

metadata = MetaData()
"""Every table of version 1, with its indexes."""

_Time = DateTime(timezone=True)


def _partial(name: str, rows: str, *columns: str, unique: bool = False) -> Index:
    """Return an index over some of the rows."""
    where = text(rows)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


Table(
    "idempotency_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("route", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("request_id", String(128)),
    Index("ix_idempotency_keys_expires_at_ms", "expires_at_ms"),
    Index("ix_idempotency_keys_request_id", "request_id"),
)
Table(
    "roadworthy_event_order",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("pruned", BigInteger, nullable=False),
)
Table(
    "roadworthy_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("position", BigInteger),
    Column("topic", String(200), nullable=False),
    Column("name", String(100)),
    Column("data", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Index("ix_roadworthy_events_topic", "topic", "position"),
    _partial("ix_roadworthy_events_unordered", "position IS NULL", "id"),
    Index("uq_roadworthy_events_position", "position", unique=True),
    sqlite_autoincrement=True,
)
Table(
    "roadworthy_job_pauses",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("since", _Time, nullable=False),
    Column("paused_by", String(200), nullable=False),
)
Table(
    "roadworthy_job_schedules",
    metadata,
    Column("task", String(200), primary_key=True),
    Column("spec", String(200), nullable=False),
    Column("next_at", _Time, nullable=False),
    Column("ticks", BigInteger, nullable=False),
    Column("last_at", _Time),
    Column("asked_at", _Time),
)
Table(
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
    Column("unique_of", String(200)),
    Column("request_id", String(128)),
    Column("trace", String(100)),
    Column("error_code", String(100)),
    Column("error", Text),
    Column("progress", Float),
    Column("progress_note", String(200)),
    Column("expires_at", _Time),
    Column("limit_key", String(200)),
    _partial(
        "ix_roadworthy_jobs_admitted",
        "limit_key IS NOT NULL AND state IN ('queued', 'running')",
        "limit_key",
    ),
    _partial("ix_roadworthy_jobs_blocked", "state = 'blocked'", "limit_key", "turn_at", "id"),
    _partial(
        "ix_roadworthy_jobs_by_state",
        "state <> 'running' AND state <> 'succeeded' AND state <> 'cancelled'",
        "state",
        "id",
    ),
    _partial("ix_roadworthy_jobs_dead", "state = 'dead'", "finished_at"),
    _partial("ix_roadworthy_jobs_done", "state IN ('succeeded', 'cancelled')", "finished_at"),
    _partial(
        "ix_roadworthy_jobs_expiring", "state = 'blocked' AND expires_at IS NOT NULL", "expires_at"
    ),
    _partial("ix_roadworthy_jobs_parked", "state = 'parked'", "task"),
    _partial("ix_roadworthy_jobs_queued", "state = 'queued'", "queue", "runs_on", "turn_at", "id"),
    Index("ix_roadworthy_jobs_request", "request_id"),
    _partial("ix_roadworthy_jobs_running", "state = 'running'", "leased_until"),
    _partial("ix_roadworthy_jobs_scheduled", "state = 'scheduled'", "run_at"),
    _partial("ix_roadworthy_jobs_started", "limit_key IS NOT NULL", "limit_key", "started_at"),
    _partial(
        "uq_roadworthy_jobs_unique", "unique_key IS NOT NULL", "task", "unique_key", unique=True
    ),
)
Table(
    "roadworthy_operator_actions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", _Time, nullable=False),
    Column("who", String(200), nullable=False),
    Column("what", String(50), nullable=False),
    Column("target", Text, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("request_id", String(128)),
    Index("ix_roadworthy_operator_actions_at", "at"),
)
Table(
    "roadworthy_problem_counts",
    metadata,
    Column("begins_at", _Time, primary_key=True),
    Column("code", String(100), primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    Column("route", String(200), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("problems", Integer, nullable=False),
)
Table(
    "roadworthy_problems",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", _Time, nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", String(100), nullable=False),
    Column("method", String(16), nullable=False),
    Column("route", String(200), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("caller", String(16)),
    Column("exception", String(200)),
    Column("traceback", Text),
    Column("stands_for", Integer, nullable=False),
    Column("reason", String(64)),
    Index("ix_roadworthy_problems_at", "at", "code", "route"),
    Index("ix_roadworthy_problems_request", "request_id"),
)
Table(
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
Table(
    "roadworthy_job_attempts",
    metadata,
    Column(
        "job_id", String(36), ForeignKey("roadworthy_jobs.id", ondelete="CASCADE"), primary_key=True
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
    _partial("ix_roadworthy_job_attempts_began", "limit_key IS NOT NULL", "limit_key", "began_at"),
)
