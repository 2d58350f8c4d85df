"""Keep pauses, workers, actions of operators, last runs of schedules, and problems."""

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add them; processes of the version before go on, and neither pause nor are seen."""
    op.add_column("roadworthy_job_schedules", sa.Column("last_at", _time, nullable=True))
    op.add_column("roadworthy_job_schedules", sa.Column("asked_at", _time, nullable=True))
    op.create_table(
        "roadworthy_job_pauses",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("since", _time, nullable=False),
        sa.Column("paused_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "roadworthy_workers",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("host", sa.String(100), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("version", sa.String(100), nullable=True),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.Column("started_at", _time, nullable=False),
        sa.Column("seen_at", _time, nullable=False),
        sa.Column("expected_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "roadworthy_operator_actions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("what", sa.String(50), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    _create_problems()
    op.create_index("ix_roadworthy_operator_actions_at", "roadworthy_operator_actions", ["at"])
    op.create_index("ix_roadworthy_jobs_request", "roadworthy_jobs", ["request_id"])


def _create_problems() -> None:
    op.create_table(
        "roadworthy_problems",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(100), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("caller", sa.String(16), nullable=True),
        sa.Column("exception", sa.String(200), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("stands_for", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_roadworthy_problems_request", "roadworthy_problems", ["request_id"])
    op.create_index("ix_roadworthy_problems_at", "roadworthy_problems", ["at", "code", "route"])


def downgrade() -> None:
    """Remove them; what was paused goes on."""
    op.drop_index("ix_roadworthy_jobs_request", table_name="roadworthy_jobs")
    for table in ("problems", "operator_actions", "workers", "job_pauses"):
        op.drop_table(f"roadworthy_{table}")
    for column in ("asked_at", "last_at"):
        op.drop_column("roadworthy_job_schedules", column)
