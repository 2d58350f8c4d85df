"""Run by Alembic for each command, on the connection that `depot.schema` gives it."""

from alembic import context

from depot.inventory import rows as _inventory  # noqa: F401 - declares its tables
from depot.orders import rows as _orders  # noqa: F401 - declares its tables
from depot.rows import Row
from roadworthy import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[Row.metadata, tables.metadata],
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
