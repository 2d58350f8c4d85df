"""One job changed by an operator: done and written down in one transaction, or neither."""

from collections.abc import Iterator

import pytest

from jobs.opened import database, rows
from jobs.operations.test_bulk import put, row
from roadworthy.jobs import State, operations
from support.postgres import database_on


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


async def written(db):
    async with db.read() as tx:
        return [(it.who, it.what, dict(it.target), it.jobs) for it in await operations.recent(tx)]


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (operations.retry, State.DEAD, State.QUEUED),
        (operations.cancel, State.QUEUED, State.CANCELLED),
        (operations.cancel, State.RUNNING, State.RUNNING),
        (operations.dismiss, State.DEAD, State.CANCELLED),
        (operations.dismiss, State.PARKED, State.CANCELLED),
    ],
)
async def test_a_job_is_changed_and_the_operator_is_named(database_url, change, before, after):
    async with database(database_url) as db:
        await put(db, row(before, id="a"), row(before, id="b"))
        async with db.begin() as tx:
            assert await change(tx, "a", by=" ana ")

        assert [(found.id, found.state) for found in await rows(db)] == [
            ("a", after),
            ("b", before),
        ]
        assert await written(db) == [("ana", change.__name__, {"job": "a"}, 1)]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (operations.retry, State.RUNNING),
        (operations.cancel, State.DEAD),
        (operations.dismiss, State.SUCCEEDED),
    ],
)
async def test_a_change_that_cannot_be_made_is_not_written_down(database_url, change, state):
    async with database(database_url) as db:
        await put(db, row(state, id="a"))
        async with db.begin() as tx:
            assert not await change(tx, "a", by="ana")
            assert not await change(tx, "no-such-job", by="ana")

        assert await written(db) == []


async def test_a_change_that_is_rolled_back_is_not_written_down(database_url):
    async with database(database_url) as db:
        await put(db, row(State.DEAD, id="a"))
        async with db.begin() as tx:
            await operations.retry(tx, "a", by="ana")
            await tx.rollback()

        assert [found.state for found in await rows(db)] == ["dead"]
        assert await written(db) == []


@pytest.mark.parametrize("change", [operations.retry, operations.cancel, operations.dismiss])
async def test_a_change_by_nobody_is_refused(database_url, change):
    async with database(database_url) as db, db.begin() as tx:
        with pytest.raises(ValueError, match='by="ana"'):
            await change(tx, "a", by=" ")
