"""`enqueued` and `assert_enqueued` tell what is there, and what is there instead."""

from datetime import UTC, date, datetime, timedelta

import pytest

from roadworthy.jobs import Jobs, task
from roadworthy.problems.request_ids import current as current_request_id
from roadworthy.testing import Clock, Worker, assert_enqueued, enqueued

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)


@task(name="remind", queue="mail")
async def remind(order_id: str, on: date = date(2030, 1, 1)) -> None: ...


@task(name="other")
async def other(x: int) -> None: ...


async def test_jobs_are_seen_before_the_commit_and_not_by_others(db):
    async with db.begin() as tx:
        await remind.enqueue(tx, "1")
        here, elsewhere = await enqueued(tx, remind), await enqueued(db, remind)
    afterwards = await enqueued(db, remind)

    assert [len(jobs) for jobs in (here, elsewhere, afterwards)] == [1, 0, 1]


async def test_arguments_are_what_the_task_will_get(db):
    async with db.begin() as tx:
        await remind.enqueue(tx, "1", on=date(2030, 2, 3))

    [job] = await enqueued(db, remind)

    assert job.arguments == {"order_id": "1", "on": date(2030, 2, 3)}


async def test_jobs_of_other_tasks_are_told_apart(db):
    async with db.begin() as tx:
        await remind.enqueue(tx, "1")
        await other.enqueue(tx, 2)

    assert [job.task for job in await enqueued(db)] == ["remind", "other"]
    assert [job.arguments for job in await enqueued(db, other)] == [{"x": 2}]


async def test_options_are_told(db):
    token = current_request_id.set("r-1")
    options = {"run_at": NEW_YEAR, "unique_key": "k", "priority": 3, "queue": "slow"}
    async with db.begin() as tx:
        await remind.options(**options).enqueue(tx, "1")
    current_request_id.reset(token)

    [job] = await enqueued(db, remind)

    assert {name: getattr(job, name) for name in options} == options
    assert (job.state, job.request_id) == ("scheduled", "r-1")


async def test_a_job_is_due_by_the_clock_of_the_test(db):
    with Clock(NEW_YEAR):
        async with db.begin() as tx:
            await remind.enqueue(tx, "1")

    [job] = await enqueued(db, remind)

    assert (job.run_at, job.state) == (NEW_YEAR, "queued")


async def test_a_job_that_has_run_was_enqueued_all_the_same(db):
    async with db.begin() as tx:
        await remind.enqueue(tx, "1")
    await Worker(Jobs(db, tasks=[remind], run=False)).run_due()

    [job] = await enqueued(db, remind)

    assert job.state == "succeeded"


async def test_assert_enqueued_returns_the_job(db):
    async with db.begin() as tx:
        await remind.enqueue(tx, "1")
        added = await remind.enqueue(tx, "2", on=date(2030, 2, 3))

        job = await assert_enqueued(tx, remind.call(order_id="2", on=date(2030, 2, 3)))

    assert job.id == added.id


async def test_options_that_are_given_have_to_be_the_same(db):
    with Clock() as clock:
        async with db.begin() as tx:
            await remind.options(delay=timedelta(hours=1)).enqueue(tx, "1")

        await assert_enqueued(db, remind.call("1"))
        await assert_enqueued(db, remind.options(run_at=clock.now() + timedelta(hours=1)).call("1"))
        await assert_enqueued(db, remind.options(delay=timedelta(hours=1)).call("1"))
        with pytest.raises(AssertionError, match="run_at=2030"):
            await assert_enqueued(db, remind.options(run_at=NEW_YEAR).call("1"))


async def test_the_failure_says_what_was_there_instead(db):
    async with db.begin() as tx:
        await remind.options(run_at=NEW_YEAR, unique_key="k").enqueue(tx, "1")

    with pytest.raises(AssertionError) as failure:
        await assert_enqueued(db, remind.options(priority=7).call("2"))

    assert str(failure.value) == (
        "remind(order_id='2') with priority=7 was not enqueued. There was:\n"
        "    remind(order_id='1') with queue='mail', priority=0, "
        "run_at=2030-01-01 00:00:00+00:00, unique_key='k'; scheduled"
    )


async def test_the_failure_says_that_there_was_nothing(db):
    with pytest.raises(AssertionError, match=r"was not enqueued\. There was: nothing"):
        await assert_enqueued(db, remind.call("1"))
