"""Keep the attempts of jobs, until when they may begin, what limits them, and their keys."""

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)

# Name, table, columns, and the rows that are in it.
_indexes = (
    (
        "ix_roadworthy_jobs_blocked",
        "roadworthy_jobs",
        ["limit_key", "turn_at", "id"],
        "state = 'blocked'",
    ),
    (
        "ix_roadworthy_jobs_expiring",
        "roadworthy_jobs",
        ["expires_at"],
        "state = 'blocked' AND expires_at IS NOT NULL",
    ),
    (
        "ix_roadworthy_jobs_admitted",
        "roadworthy_jobs",
        ["limit_key"],
        "limit_key IS NOT NULL AND state IN ('queued', 'running')",
    ),
    (
        "ix_roadworthy_jobs_started",
        "roadworthy_jobs",
        ["limit_key", "started_at"],
        "limit_key IS NOT NULL",
    ),
    (
        "ix_roadworthy_job_attempts_began",
        "roadworthy_job_attempts",
        ["limit_key", "began_at"],
        "limit_key IS NOT NULL",
    ),
)


def upgrade() -> None:
    """Add them; processes of the version before go on, and leave the new columns empty."""
    op.add_column("roadworthy_jobs", sa.Column("expires_at", _time, nullable=True))
    op.add_column("roadworthy_jobs", sa.Column("limit_key", sa.String(200), nullable=True))
    op.add_column("roadworthy_jobs", sa.Column("unique_of", sa.String(200), nullable=True))
    # So that a job from before takes its key again when it is retried.
    op.execute("UPDATE roadworthy_jobs SET unique_of = unique_key WHERE unique_key IS NOT NULL")
    op.create_table(
        "roadworthy_job_attempts",
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("began_at", _time, nullable=False),
        sa.Column("ended_at", _time, nullable=False),
        sa.Column("worker", sa.String(100), nullable=True),
        sa.Column("error_code", sa.String(100), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("limit_key", sa.String(200), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["roadworthy_jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "id"),
    )
    for name, table, columns, rows in _indexes:
        where = sa.text(rows)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Remove them; jobs that wait for a place under their limit wait for a worker then."""
    op.execute("UPDATE roadworthy_jobs SET state = 'queued' WHERE state = 'blocked'")
    op.drop_table("roadworthy_job_attempts")
    for name, table, *_ in _indexes:
        if table == "roadworthy_jobs":
            op.drop_index(name, table_name=table)
    for column in ("unique_of", "limit_key", "expires_at"):
        op.drop_column("roadworthy_jobs", column)
