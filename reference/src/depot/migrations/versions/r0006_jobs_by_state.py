"""Keep an index of jobs by state and age, for the console."""

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAME = "ix_roadworthy_jobs_by_state"


def upgrade() -> None:
    """Add an index of the jobs that wait or are dead."""
    rows = sa.text("state <> 'running' AND state <> 'succeeded' AND state <> 'cancelled'")
    columns = ["state", "id"]
    op.create_index(_NAME, "roadworthy_jobs", columns, sqlite_where=rows, postgresql_where=rows)


def downgrade() -> None:
    """Remove that index; lists of many jobs are slower then."""
    op.drop_index(_NAME, table_name="roadworthy_jobs")
