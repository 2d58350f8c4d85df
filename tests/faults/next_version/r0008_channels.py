"""Note where orders come from: a column that may be empty, and a table of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("channel", sa.String(16), nullable=True))
    op.create_table(
        "channels",
        sa.Column("name", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_channels"),
    )


def downgrade() -> None:
    op.drop_table("channels")
    op.drop_column("orders", "channel")
