"""A shop with one background task of each kind, and a worker for it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.testing import Clock


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.create_all)
        yield db


@pytest.fixture
def clock() -> Iterator[Clock]:
    with Clock() as clock:
        yield clock
