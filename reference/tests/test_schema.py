"""The migrations make what the models and the library's tables say, on both databases."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from depot import schema
from roadworthy.database import Database

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


FROM_0001 = """
import asyncio, sys
from alembic import command
from sqlalchemy import text
from depot import schema
from roadworthy.database import Database

ORDER = (
    "INSERT INTO orders (id, status, customer_email, total, created_at, confirmation, invoice)"
    " VALUES ('0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77', 'accepted', 'ann@example.com', 999,"
    " '2026-01-31 12:00:00+00:00', 'pending', 'pending')"
)
LINE = (
    "INSERT INTO order_lines (order_id, position, item_id, quantity, unit_price, amount)"
    " VALUES ('0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77', 0, 'a', 1, 999, 999)"
)

async def make(url):
    async with Database(url) as db, db.begin() as tx:
        connection = await tx.connection()
        await connection.run_sync(
            lambda c: command.upgrade(schema.alembic_config(c), "0001")
        )
        await tx.execute(text(ORDER.replace("+00:00", "") if "sqlite" in url else ORDER))
        await tx.execute(text(LINE))

asyncio.run(make(sys.argv[1]))
"""


def _python(script: str, url: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_version_before_wrote_is_kept_and_served(
    depot_environment: Callable[..., dict[str, str]],
    run_depot: Callable[..., subprocess.CompletedProcess[str]],
    start_briefly: Callable[..., Any],
    own_database_url: str,
    tmp_path: Path,
) -> None:
    _python(FROM_0001, own_database_url, depot_environment())
    settings = {"DEPOT_DATABASE__URL": own_database_url, "DEPOT_DATA_DIR": str(tmp_path)}

    migrated = run_depot("migrate", **settings)

    assert migrated.returncode == 0, migrated.stderr
    with start_briefly(**settings).client() as client:
        order = client.get("/orders/0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77").json()
        assert (order["total"], order["created_at"][:10]) == ("9.99", "2026-01-31")
        # Nothing was enqueued for it then, and nothing is invented now.
        assert (order["confirmation"], order["invoice"]) == ("pending", "pending")
        assert client.get("/users/ann/actions").json()["items"] == []


def test_the_migrations_make_exactly_what_the_models_say(
    depot_environment: Callable[..., dict[str, str]], database_url: str
) -> None:
    _python(CHECK, database_url, depot_environment())


async def test_a_newer_schema_is_a_warning_and_an_older_one_a_failure(tmp_path: Path) -> None:
    """While a new version is rolled out the old one serves on; the other way it cannot."""
    async with Database(f"sqlite:///{tmp_path}/depot.db") as db:
        await schema.migrate(db)
        assert await schema.check(db) is None
        await _pretend(db, "9999")
        assert "newer version" in (await schema.check(db) or "")
        await _pretend(db, "0001")
        with pytest.raises(schema.SchemaMismatch):
            await schema.check(db)


async def _pretend(db: Database, revision: str) -> None:
    async with db.begin() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
