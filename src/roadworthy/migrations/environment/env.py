"""Run by Alembic for each of its commands: `script_location` of pyproject.toml leads here."""

from alembic import context

from roadworthy import migrations

migrations.run(context.config)
