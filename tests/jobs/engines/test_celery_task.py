"""Tasks that were written for Celery, enqueued in a transaction."""

from datetime import timedelta

import pytest
from celery import Celery
from celery.exceptions import Ignore, Reject

from jobs.opened import database, rows, running
from roadworthy import jobs
from roadworthy.jobs.engines.celery import celery_task
from support.polling import until_async as until

app = Celery("tests", broker="memory://", set_as_current=False)
seen = []


@app.task(name="tests.plain")
def plain(order_id: int, note="none"):
    seen.append((order_id, note))


@app.task(name="tests.bound", bind=True, max_retries=2)
def bound(self, order_id: int, countdown: float = 0):
    seen.append((self.request.id, self.request.retries))
    try:
        raise LookupError("not there")
    except LookupError as error:
        if self.request.retries < 1:
            raise self.retry(exc=error, countdown=countdown) from error


@app.task(name="tests.limited", bind=True)
def limited(self):
    seen.append(self.request.retries)
    self.retry(countdown=0, max_retries=1)


@app.task(name="tests.auto", autoretry_for=(LookupError,), max_retries=1)
def auto():
    seen.append("tried")
    raise LookupError("not there")


@app.task(name="tests.rejects")
def rejects(requeue: bool):
    seen.append("rejects")
    raise Reject("no", requeue=requeue)


@app.task(name="tests.ignores")
def ignores():
    raise Ignore


async def later():
    seen.append("later")


UNRUN = {
    "a coroutine": later,
    "a generator": lambda: (seen.append(one) for one in "ab"),
    "a lazy iterator": lambda: map(seen.append, "ab"),
}


@app.task(name="tests.returns")
def returns(what: str):
    return UNRUN[what]()


@app.task(name="tests.again", autoretry_for=(LookupError,))
async def wrapped_by_celery():
    seen.append("wrapped")


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


async def test_a_task_of_celery_runs_as_a_job(db):
    row = await run(db, celery_task(plain), 7, note="now")

    assert (row.task, row.state, seen) == ("tests.plain", "succeeded", [(7, "now")])


async def test_what_it_has_no_type_for_and_no_argument_keeps_its_default(db):
    await run(db, celery_task(plain), order_id=7)

    assert seen == [(7, "none")]


async def test_retry_means_another_attempt(db):
    row = await run(db, celery_task(bound), 7, countdown=0.05)

    assert (row.state, row.attempts) == ("succeeded", 2)
    assert seen == [(row.id, 0), (row.id, 1)]


async def test_a_task_may_bound_its_retries_itself(db):
    row = await run(db, celery_task(limited))

    assert (row.state, row.error_code, seen) == ("dead", "GAVE_UP", [0, 1])


async def test_what_celery_repeats_by_itself_is_repeated_as_jobs_are(db):
    backoff = jobs.Backoff(first=timedelta(0))

    row = await run(db, celery_task(auto, backoff=backoff))

    assert (row.state, row.error_code, row.attempts) == ("dead", "LOOKUP_ERROR", 2)


@pytest.mark.parametrize(("requeue", "times"), [(False, 1), (True, 3)])
async def test_reject_is_for_good_unless_it_asks_to_be_queued_again(db, requeue, times):
    declared = celery_task(rejects, attempts=3, backoff=jobs.Backoff(first=timedelta(0)))

    row = await run(db, declared, requeue)

    assert (row.state, len(seen)) == ("dead", times)


async def test_ignore_is_a_success(db):
    assert (await run(db, celery_task(ignores))).state == "succeeded"


async def test_arguments_that_do_not_fit_are_refused_when_they_are_enqueued(db):
    async with db.begin() as tx:
        with pytest.raises(jobs.ArgumentsMistaken):
            await celery_task(plain).enqueue(tx, "seven")


def test_a_task_that_takes_anything_cannot_be_stored():
    @app.task(name="tests.anything")
    def anything(*args):
        """Take anything."""

    with pytest.raises(TypeError, match="Name each one"):
        _ = celery_task(anything).signature


async def test_the_celery_task_itself_stays_as_it_was(db):
    await run(db, celery_task(bound), 7)

    assert "retry" not in vars(bound)


@pytest.mark.parametrize("what", UNRUN)
async def test_what_returns_work_that_nobody_does_has_failed_and_says_what_to_write(db, what):
    row = await run(db, celery_task(returns, attempts=1), what)

    assert (row.state, row.error_code, seen) == ("dead", "NOT_RUN", [])
    assert f"tests.returns returned {what}" in row.error


async def test_nor_does_a_coroutine_hide_behind_what_celery_wraps(db):
    row = await run(db, celery_task(wrapped_by_celery, attempts=1))

    assert (row.state, row.error_code, seen) == ("dead", "NOT_RUN", [])


def test_a_coroutine_function_is_refused_where_it_is_declared():
    @app.task(name="tests.async")
    async def asynchronous(): ...

    with pytest.raises(TypeError, match=r"`async def`.*does not await.*@task"):
        celery_task(asynchronous)
