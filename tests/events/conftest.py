"""Databases of events on each driver, and an application on each."""

from collections.abc import AsyncGenerator

import pytest

from events.shop import Shop, database, shop
from roadworthy.database import Database

DRIVERS = {
    "sqlite": "sqlite",
    "asyncpg": "postgresql+asyncpg",
    "psycopg": "postgresql+psycopg",
}


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, its driver named."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    plain = str(request.getfixturevalue("postgres_url"))
    return plain.replace("postgresql:", f"{DRIVERS[request.param]}:")


@pytest.fixture
async def db(url: str) -> AsyncGenerator[Database]:
    """An open database with the tables of events."""
    async with database(url) as opened:
        yield opened


@pytest.fixture
async def open_shop(db: Database) -> AsyncGenerator[Shop]:
    """An application with events in this process."""
    async with shop(db) as opened:
        yield opened
