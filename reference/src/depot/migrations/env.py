"""Run by Alembic for each command, on the connection that `depot.schema` gives it."""

from alembic import context

from depot.documents.rows import DocumentRow
from depot.inventory.rows import ItemRow
from depot.orders.rows import OrderRow
from depot.rows import Row
from depot.users.rows import ActionRow
from roadworthy import tables

# What a class is imported for is that its module declares tables.
_DECLARED = (ItemRow, OrderRow, ActionRow, DocumentRow)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[Row.metadata, tables.metadata],
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
