"""Two databases, each with jobs of its own: a job is stored where somebody runs it."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from jobs.opened import PLAIN, database, rows, url_for
from roadworthy.jobs import Jobs, enqueue_many, task


@task(name="two.mail")
async def mail(to: str) -> None: ...


@task(name="two.book")
async def book(amount: int) -> None: ...


@task(name="two.both")
async def both() -> None: ...


@task(name="two.elsewhere")
async def elsewhere() -> None: ...


@pytest.fixture
async def shop(database_url):
    async with database(database_url) as db:
        yield db


@pytest.fixture
async def ledger(tmp_path):
    async with database(f"sqlite:///{tmp_path / 'ledger.db'}") as db:
        yield db


@pytest.fixture(autouse=True)
async def jobs(shop, ledger):
    async with (
        Jobs(shop, tasks=[mail, both], run=False),
        Jobs(ledger, tasks=[book, both], run=False),
    ):
        yield


async def add(db, *calls):
    async with db.begin() as tx:
        await enqueue_many(tx, calls)


async def test_a_job_in_the_wrong_one_is_refused_and_nothing_is_written(shop, ledger):
    with pytest.raises(RuntimeError, match=r"two\.book is a task of .*another database.*tasks"):
        await add(shop, mail.call("ann"), book.call(5))
    with pytest.raises(RuntimeError, match=r"two\.mail is a task of .*another database"):
        await add(ledger, book.call(5), mail.call("ann"))

    assert await rows(shop) + await rows(ledger) == []


async def test_each_takes_its_own_and_what_both_know_and_what_nobody_here_knows(shop, ledger):
    async with shop.begin() as tx, ledger.begin() as own:
        await enqueue_many(tx, [mail.call("ann"), both.call(), elsewhere.call()])
        await enqueue_many(own, [book.call(5), both.call(), elsewhere.call()])

    assert (len(await rows(shop)), len(await rows(ledger))) == (3, 3)


async def test_another_engine_on_the_same_database_is_the_same(database_url, shop):
    engine = create_async_engine(url_for(database_url, PLAIN))
    async with engine.begin() as connection:
        await mail.enqueue(connection, "ann")
        with pytest.raises(RuntimeError, match="another database"):
            await book.enqueue(connection, 5)
    await engine.dispose()

    assert len(await rows(shop)) == 1


async def test_a_database_without_jobs_here_is_nobodys_business(tmp_path):
    async with database(f"sqlite:///{tmp_path / 'third.db'}") as third:
        async with third.begin() as tx:
            await mail.enqueue(tx, "ann")
        async with third.read() as tx:
            assert await tx.scalar(sa.text("SELECT count(*) FROM roadworthy_jobs")) == 1
