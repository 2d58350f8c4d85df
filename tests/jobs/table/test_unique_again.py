"""A job that is queued again takes its unique key again, or says who has it."""

import asyncio

import pytest
from sqlalchemy import update

from jobs.opened import database, rows
from roadworthy import jobs
from roadworthy.jobs import Jobs, State, task
from roadworthy.jobs.table import records
from roadworthy.testing import Worker


@task(name="sync", unique="unfinished", attempts=1)
async def sync(user: int) -> None:
    raise OSError


@task(name="index", unique="queued", attempts=1)
async def index(user: int) -> None:
    raise OSError


@task(name="plain", attempts=1)
async def plain(user: int) -> None:
    raise OSError


CALLS = {
    "unfinished": sync,
    "queued": index,
    "a key of the user's": plain.options(unique_key="k" * 200),
}


@pytest.fixture(params=CALLS)
def one(request):
    return CALLS[request.param]


async def put(db, id_, state):
    async with db.engine.begin() as connection:
        ended = {"state": state, "unique_key": None}
        await connection.execute(update(jobs.table).where(jobs.table.c.id == id_).values(**ended))


async def enqueue(db, sending, user=1):
    async with db.begin() as tx:
        return await sending.enqueue(tx, user=user)


async def retry(db, id_):
    async with db.begin() as tx:
        return await jobs.retry(tx, id_), await jobs.key_holder(tx, id_)


class TestRetry:
    @pytest.mark.parametrize("state", [State.DEAD, State.CANCELLED, State.PARKED])
    async def test_it_takes_its_key_again(self, database_url, one, state):
        async with database(database_url) as db:
            first = await enqueue(db, one)
            await put(db, first.id, state)

            assert await retry(db, first.id) == (True, first.id)
            again = await enqueue(db, one)

            assert (again.created, again.id) == (False, first.id)
            assert len(await rows(db)) == 1

    async def test_it_is_not_queued_where_another_has_the_key(self, database_url, one):
        async with database(database_url) as db:
            first = await enqueue(db, one)
            await put(db, first.id, State.DEAD)
            second = await enqueue(db, one)

            assert second.created
            assert await retry(db, first.id) == (False, second.id)
            assert [row.state for row in await rows(db)] == ["dead", "queued"]

    @pytest.mark.parametrize("ending", ["it dies", "it is cancelled", "it is parked"])
    async def test_so_does_one_that_a_process_of_the_version_before_enqueued(
        self, database_url, one, ending
    ):
        async with database(database_url) as db:
            first = await enqueue(db, one)
            async with db.engine.begin() as connection:
                await connection.execute(update(jobs.table).values(unique_of=None))
                if ending == "it is parked":
                    await connection.execute(update(jobs.table).values(state="parked"))
            if ending == "it dies":
                await Worker(Jobs(db, tasks=[sync, index, plain])).run_due()
            if ending == "it is cancelled":
                async with db.begin() as tx:
                    assert await jobs.cancel(tx, first.id)

            assert await retry(db, first.id) == (True, first.id)
            assert not (await enqueue(db, one)).created

    async def test_of_several_dead_ones_one_comes_back(self, database_url, one):
        async with database(database_url) as db:
            ids = []
            for _ in range(3):
                ids.append((await enqueue(db, one)).id)
                await put(db, ids[-1], State.DEAD)
            async with db.begin() as tx:
                assert [await jobs.retry(tx, id_) for id_ in ids] == [True, False, False]

            assert sorted(row.state for row in await rows(db)) == ["dead", "dead", "queued"]

    async def test_the_key_is_free_when_that_job_has_ended(self, database_url):
        async with database(database_url) as db:
            first = await enqueue(db, sync)
            worker = Worker(Jobs(db, tasks=[sync], run=False))
            await worker.run_due()
            await retry(db, first.id)
            await worker.run_due()

            assert (await enqueue(db, sync)).created

    async def test_other_keys_and_tasks_are_not_in_the_way(self, database_url):
        async with database(database_url) as db:
            first = await enqueue(db, sync)
            await put(db, first.id, State.DEAD)
            for other, user in ((sync, 2), (index, 1), (plain, 1)):
                await enqueue(db, other, user)

            assert await retry(db, first.id) == (True, first.id)

    async def test_a_job_without_a_key_is_nobodys(self, database_url):
        async with database(database_url) as db:
            first = await enqueue(db, plain)
            await put(db, first.id, State.DEAD)

            assert await retry(db, first.id) == (True, None)

    async def test_a_race_for_the_key_has_one_winner_and_spoils_no_transaction(
        self, postgres_url, monkeypatch
    ):
        async with database(postgres_url) as db:
            first = await enqueue(db, sync)
            await put(db, first.id, State.DEAD)
            await enqueue(db, sync)
            monkeypatch.setattr(records, "_holder_of", lambda _: _nobody)
            async with db.begin() as tx:
                assert await jobs.retry(tx, first.id) is False
                await plain.enqueue(tx, user=1)

            assert sorted(row.state for row in await rows(db)) == ["dead", "queued", "queued"]


_nobody = jobs.table.select().with_only_columns(jobs.table.c.id).where(jobs.table.c.id == "")


class TestCommandLine:
    async def test_of_several_dead_ones_one_comes_back_and_the_command_goes_on(
        self, database_url, capsys
    ):
        from roadworthy.cli import main

        async with database(database_url) as db:
            ids = []
            for user in (1, 1, 2):
                ids.append((await enqueue(db, sync, user)).id)
                await put(db, ids[-1], State.DEAD)
        command = ["jobs", "--database", database_url]
        assert await asyncio.to_thread(main, [*command, "retry", "--all-dead"]) == 0
        said = capsys.readouterr()
        assert "2 of the dead jobs are queued" in said.out
        assert "1 stay dead" in said.err

        assert await asyncio.to_thread(main, [*command, "retry", ids[1]]) == 1
        assert f"job {ids[0]} has its unique key" in capsys.readouterr().err
