"""Databases of the console's tests: one of PostgreSQL for each module, emptied for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from roadworthy.database import Database
from roadworthy.tables import metadata
from support.postgres import database_on


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """An open database that has all tables, with nothing in them."""
    async with Database(database_url) as opened:
        async with opened.engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        yield opened
