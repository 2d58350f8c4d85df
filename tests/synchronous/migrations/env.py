"""Alembic's environment: it brings the database of `sqlalchemy.url` up to date."""

from alembic import context
from sqlalchemy import create_engine

from synchronous import models

engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=models.Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
