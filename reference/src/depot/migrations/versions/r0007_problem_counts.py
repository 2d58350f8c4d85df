"""Count problems by the quarter of an hour, and keep the reason of a refusal."""

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; processes of the version before go on, and count nothing."""
    op.add_column("roadworthy_problems", sa.Column("reason", sa.String(64), nullable=True))
    op.add_column("idempotency_keys", sa.Column("request_id", sa.String(128), nullable=True))
    op.create_index("ix_idempotency_keys_request_id", "idempotency_keys", ["request_id"])
    op.create_table(
        "roadworthy_problem_counts",
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(100), nullable=False),
        sa.Column("status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("problems", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("begins_at", "code", "status", "route", "reason"),
    )


def downgrade() -> None:
    """Remove them; what was counted is lost."""
    op.drop_table("roadworthy_problem_counts")
    op.drop_index("ix_idempotency_keys_request_id", table_name="idempotency_keys")
    op.drop_column("idempotency_keys", "request_id")
    op.drop_column("roadworthy_problems", "reason")
