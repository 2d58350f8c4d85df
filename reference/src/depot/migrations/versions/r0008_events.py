"""Keep events for clients that listen, and the order in which they are told."""

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_EVENTS, _ORDER = "roadworthy_events", "roadworthy_event_order"
# SQLite numbers the rows of an INTEGER PRIMARY KEY only.
_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both tables; processes of the version before publish nothing."""
    op.create_table(
        _EVENTS,
        sa.Column("id", _number, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("name", sa.String(100), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        _ORDER,
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("uq_roadworthy_events_position", _EVENTS, ["position"], unique=True)
    op.create_index("ix_roadworthy_events_topic", _EVENTS, ["topic", "position"])
    none = sa.text("position IS NULL")
    op.create_index(
        "ix_roadworthy_events_unordered",
        _EVENTS,
        ["id"],
        sqlite_where=none,
        postgresql_where=none,
    )


def downgrade() -> None:
    """Remove both; who listens is told of nothing any more."""
    op.drop_table(_ORDER)
    op.drop_table(_EVENTS)
