"""The tables of idempotency keys and of jobs: what the parts keep in the service's database."""

from alembic import op

from roadworthy.tables import metadata

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    metadata.create_all(op.get_bind())
