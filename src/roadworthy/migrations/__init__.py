"""Alembic for services: their database, their tables and a lock, said in pyproject.toml.

`script_location = "roadworthy.migrations:environment"` there leads Alembic here, `database` names
the URL, or a function that returns one, and `tables` each `MetaData`. Then `alembic upgrade head`
and `alembic revision --autogenerate` work as ever. The tables of Roadworthy's parts are made by a
line in a migration of yours:

    def upgrade() -> None:
        create_tables(version=1)
"""

from roadworthy._internal.extras import extra

with extra("migrations", of="roadworthy.migrations"):
    import alembic as _  # noqa: F401 - so that its absence is told once

from roadworthy.migrations.made import create_tables, drop_tables
from roadworthy.migrations.running import run

__all__ = ["create_tables", "drop_tables", "run"]
