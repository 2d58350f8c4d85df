"""Make the tables of jobs, and what they write: invoices and the actions of users."""

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)

# Name, columns, and the rows that are in it: an index stays as small as their number.
_indexes = (
    ("ix_roadworthy_jobs_queued", ["queue", "runs_on", "turn_at", "id"], "state = 'queued'"),
    ("ix_roadworthy_jobs_scheduled", ["run_at"], "state = 'scheduled'"),
    ("ix_roadworthy_jobs_running", ["leased_until"], "state = 'running'"),
    ("ix_roadworthy_jobs_parked", ["task"], "state = 'parked'"),
    ("ix_roadworthy_jobs_dead", ["finished_at"], "state = 'dead'"),
    ("ix_roadworthy_jobs_done", ["finished_at"], "state IN ('succeeded', 'cancelled')"),
)


def upgrade() -> None:
    """Make them."""
    _make_jobs()
    op.create_table(
        "invoices",
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", _time, nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name="fk_invoices_order_id_orders", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("order_id", name="pk_invoices"),
    )
    op.create_table(
        "user_actions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_actions"),
    )
    op.create_index("ix_user_actions_user_id_at_id", "user_actions", ["user_id", "at", "id"])


def _make_jobs() -> None:
    op.create_table(
        "roadworthy_jobs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("task", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("runs_on", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("turn_at", _time, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", _time, nullable=False),
        sa.Column("run_at", _time, nullable=False),
        sa.Column("started_at", _time, nullable=True),
        sa.Column("finished_at", _time, nullable=True),
        sa.Column("leased_until", _time, nullable=True),
        sa.Column("worker", sa.String(100), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("unique_key", sa.String(200), nullable=True),
        sa.Column("unique_until", sa.String(16), nullable=True),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("trace", sa.String(100), nullable=True),
        sa.Column("error_code", sa.String(100), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("progress", sa.Float(), nullable=True),
        sa.Column("progress_note", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, columns, rows in _indexes:
        _index(name, columns, rows)
    _index(
        "uq_roadworthy_jobs_unique", ["task", "unique_key"], "unique_key IS NOT NULL", unique=True
    )
    op.create_table(
        "roadworthy_job_schedules",
        sa.Column("task", sa.String(200), nullable=False),
        sa.Column("spec", sa.String(200), nullable=False),
        sa.Column("next_at", _time, nullable=False),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task"),
    )


def _index(name: str, columns: list[str], rows: str, *, unique: bool = False) -> None:
    where = sa.text(rows)
    op.create_index(
        name,
        "roadworthy_jobs",
        columns,
        unique=unique,
        sqlite_where=where,
        postgresql_where=where,
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("user_actions", "invoices", "roadworthy_job_schedules", "roadworthy_jobs"):
        op.drop_table(table)
