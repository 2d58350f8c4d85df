"""The migrations make what the models and the library's tables say, on both databases."""

import subprocess
import sys
from collections.abc import Callable

CHECK = """
import asyncio, sys
from alembic import command
from depot import schema
from roadworthy.database import Database

async def check(url):
    async with Database(url) as db:
        await schema.migrate(db)
        async with db.begin() as tx:
            connection = await tx.connection()
            await connection.run_sync(lambda c: command.check(schema.alembic_config(c)))

asyncio.run(check(sys.argv[1]))
"""


def test_the_migrations_make_exactly_what_the_models_say(
    depot_environment: Callable[..., dict[str, str]], database_url: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, database_url],
        env=depot_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
