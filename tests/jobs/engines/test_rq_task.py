"""Functions that were written for RQ, enqueued in a transaction."""

from datetime import timedelta

import pytest
from redis import Redis
from rq import Retry
from rq.decorators import job as rq_job

from jobs.opened import database, rows, running
from roadworthy import jobs
from roadworthy.jobs.engines.rq import rq_task
from support.polling import until_async as until

seen = []


def plain(order_id: int, note="none"):
    seen.append((order_id, note))


async def coroutine(order_id: int):
    seen.append(order_id)


def fails():
    seen.append("tried")
    raise LookupError("not there")


def returns_a_retry(order_id: int):
    seen.append(order_id)
    return Retry(max=2, interval=0)


def returns_a_generator():
    return (seen.append(one) for one in "ab")


@rq_job("default", connection=Redis(), retry=Retry(max=1))
def decorated(order_id: int):
    seen.append(order_id)


def takes_anything(*args):
    """Take anything."""


@pytest.fixture(autouse=True)
def forget():
    seen.clear()


@pytest.fixture
async def db(database_url):
    async with database(database_url) as db:
        yield db


async def run(db, declared, *args, **kwargs):
    """Enqueue one job, and return its row when it has ended."""
    async with running(db, declared, poll=timedelta(milliseconds=20)):
        async with db.begin() as tx:
            await declared.enqueue(tx, *args, **kwargs)

        async def ended():
            [row] = await rows(db)
            return row if row.finished_at else None

        return await until(ended)


@pytest.mark.parametrize("existing", [coroutine, decorated])
async def test_a_function_of_rq_runs_as_a_job(db, existing):
    row = await run(db, rq_task(existing), 7)

    assert (row.task, row.state, seen) == (f"{__name__}.{existing.__name__}", "succeeded", [7])


async def test_what_it_has_no_argument_for_keeps_its_default(db):
    await run(db, rq_task(plain), order_id=7)

    assert seen == [(7, "none")]


async def test_the_retry_that_rq_was_given_says_how_often_and_when(db):
    row = await run(db, rq_task(fails, retry=Retry(max=2, interval=[0, 0])))

    assert (row.state, row.error_code, row.attempts) == ("dead", "LOOKUP_ERROR", 3)


def test_intervals_are_those_of_rq():
    backoff = rq_task(fails, retry=Retry(max=3, interval=[10, 30])).terms.backoff

    assert [backoff.after(attempt).total_seconds() for attempt in (1, 2, 3)] == [10, 30, 30]


async def test_a_function_that_returns_a_retry_is_run_again_as_often_as_that_says(db):
    row = await run(db, rq_task(returns_a_retry), 7)

    assert (row.state, row.error_code, seen) == ("dead", "GAVE_UP", [7, 7, 7])


async def test_arguments_that_do_not_fit_are_refused_when_they_are_enqueued(db):
    async with db.begin() as tx:
        with pytest.raises(jobs.ArgumentsMistaken):
            await rq_task(plain).enqueue(tx, "seven")


def test_a_function_that_takes_anything_cannot_be_stored():
    with pytest.raises(TypeError, match="Name each one"):
        _ = rq_task(takes_anything).signature


async def test_a_generator_that_is_returned_has_failed_and_says_what_to_write(db):
    row = await run(db, rq_task(returns_a_generator, attempts=1))

    assert (row.state, row.error_code, seen) == ("dead", "NOT_RUN", [])
    assert "returned a generator" in row.error
