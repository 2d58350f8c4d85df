"""The transaction of a job is committed once: what it wrote and its completion together."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from jobs.opened import PLAIN, database, rows, url_for
from roadworthy.database import Database
from roadworthy.jobs import Backoff, GiveUp, Job, Jobs, task
from roadworthy.testing import Worker

MINE = sa.Table("mine", sa.MetaData(), sa.Column("n", sa.Integer))
AT_ONCE = Backoff(first=timedelta(0))


async def add(tx, number=1):
    await tx.execute(sa.insert(MINE).values(n=number))


async def commit(tx):
    await add(tx)
    await tx.commit()


async def commit_below(tx):
    await add(tx)
    await (await tx.connection()).commit()


async def commit_in_sync_code(tx):
    await add(tx)
    await tx.run_sync(lambda session: session.commit())


async def commit_by_a_block(tx):
    async with tx.begin():
        await add(tx)


async def close(tx):
    await add(tx)
    await tx.close()


async def close_by_a_block(tx):
    async with tx:
        await add(tx)


async def commit_before_anything(tx):
    await tx.commit()
    await add(tx)


COMMITS = {
    one.__name__: one
    for one in (
        *(commit, commit_below, commit_in_sync_code, commit_by_a_block, commit_before_anything),
        *(close, close_by_a_block),
    )
}


async def savepoint(tx):
    async with tx.begin_nested():
        await add(tx)


async def savepoint_below(tx):
    async with (await tx.connection()).begin_nested():
        await add(tx)


async def roll_back_first(tx):
    await add(tx, 5)
    await tx.rollback()
    await add(tx)


async def roll_back_last(tx):
    async with tx.begin_nested():
        await add(tx)
    await tx.rollback()
    await tx.execute(sa.select(MINE))
    await tx.rollback()
    await add(tx)


async def flush(tx):
    await add(tx)
    await tx.flush()


FREE = {
    one.__name__: one
    for one in (savepoint, savepoint_below, roll_back_first, roll_back_last, flush)
}


@task(name="held.runs", attempts=2, backoff=AT_ONCE)
async def runs(how: str, tx: AsyncSession) -> None:
    await {**COMMITS, **FREE}[how](tx)


@task(name="held.completes", attempts=2, backoff=AT_ONCE)
async def completes(how: str, job: Job) -> None:
    async with job.completing() as tx:
        await {**COMMITS, **FREE}[how](tx)


@task(name="held.catches", attempts=1)
async def catches(how: str, tx: AsyncSession) -> None:
    try:
        await COMMITS[how](tx)
    except Exception:  # as somebody's `except` does
        return


@task(name="held.dies", attempts=1)
async def dies(how: str, tx: AsyncSession) -> None:
    await add(tx)
    raise GiveUp


@dies.on_dead
async def tell(how: str, tx: AsyncSession) -> None:
    await COMMITS[how](tx)


@task(name="held.owns", attempts=1)
async def owns(job: Job) -> None:
    async with job.find(Database).begin() as own:
        await add(own)
        await own.commit()


TASKS = [runs, completes, catches, dies, owns]


@pytest.fixture
async def db(database_url):
    async with database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(MINE.metadata.drop_all)
            await connection.run_sync(MINE.metadata.create_all)
        yield db


async def run(db, jobs, declared, *args):
    """Run one job to its end; return its row, and the numbers that were written."""
    async with db.begin() as tx:
        await declared.enqueue(tx, *args)
    await Worker(jobs).run_due()
    async with db.read() as tx:
        numbers = list(await tx.scalars(sa.select(MINE.c.n)))
    [row] = await rows(db)
    return row, numbers


@pytest.mark.sampled
@pytest.mark.parametrize("declared", [runs, completes], ids=lambda it: it.name)
@pytest.mark.parametrize("how", COMMITS)
async def test_ending_it_fails_the_attempt_and_nothing_is_written(db, how, declared):
    row, numbers = await run(db, Jobs(db, tasks=TASKS), declared, how)

    assert (row.state, row.error_code, row.attempts) == ("dead", "TRANSACTION_ENDED", 2)
    assert "Take the commit out" in row.error
    assert numbers == []


@pytest.mark.sampled
@pytest.mark.parametrize("declared", [runs, completes], ids=lambda it: it.name)
@pytest.mark.parametrize("how", FREE)
async def test_savepoints_and_rollbacks_are_free(db, how, declared):
    row, numbers = await run(db, Jobs(db, tasks=TASKS), declared, how)

    assert (row.state, numbers) == ("succeeded", [1])


@pytest.mark.sampled
@pytest.mark.parametrize("how", COMMITS)
async def test_who_catches_the_refusal_has_not_succeeded(db, how):
    row, numbers = await run(db, Jobs(db, tasks=TASKS), catches, how)

    assert (row.state, row.error_code, numbers) == ("dead", "TRANSACTION_ENDED", [])


@pytest.mark.sampled
@pytest.mark.parametrize(
    "how", sorted(COMMITS.keys() - {"commit_by_a_block"})
)  # it is begun already
async def test_what_records_a_death_does_not_commit_either(db, how, caplog):
    row, numbers = await run(db, Jobs(db, tasks=TASKS), dies, how)

    assert (row.state, row.error_code, numbers) == ("dead", "GAVE_UP", [])
    assert "Take the commit out" in caplog.text


async def test_a_transaction_of_its_own_may_be_committed(db):
    row, numbers = await run(db, Jobs(db, tasks=TASKS), owns)

    assert (row.state, numbers) == ("succeeded", [1])


@pytest.mark.sampled
@pytest.mark.parametrize("how", COMMITS)
async def test_on_a_plain_engine_of_sqlalchemy_too(db, database_url, how):
    engine = create_async_engine(url_for(database_url, PLAIN))
    row, numbers = await run(db, Jobs(engine, tasks=TASKS), runs, how)
    await engine.dispose()

    assert (row.state, numbers) == ("dead", [])
