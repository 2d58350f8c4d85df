"""Paused queues, tasks and schedules: nothing begins, nothing is lost, and all goes on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs.opened import database, rows, running
from roadworthy.jobs import Every, Jobs, State, operations, task
from roadworthy.testing import Clock, Worker
from support.polling import until_async as until
from support.postgres import database_on

RAN: list[str] = []
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@task(queue="mail")
async def mail(to: str) -> None:
    RAN.append(f"mail {to}")


@task
async def bill(to: str) -> None:
    RAN.append(f"bill {to}")


@task(schedule=Every(timedelta(hours=1)))
async def tidy() -> None:
    RAN.append("tidy")


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


async def enqueue(db, *jobs):
    async with db.begin() as tx:
        for job, to in jobs:
            await job.enqueue(tx, to=to)


async def test_no_job_of_a_paused_queue_begins_and_all_do_once_it_goes_on(database_url):
    async with database(database_url) as db:
        worker = Worker(Jobs(db, tasks=[mail, bill], run=False))
        async with db.begin() as tx:
            assert await operations.pause(tx, "queue", "mail", by="ana")
        await enqueue(db, (mail, "a"), (bill, "b"), (mail, "c"))

        await worker.run_due()
        assert RAN == ["bill b"]
        assert [row.attempts for row in await rows(db) if row.queue == "mail"] == [0, 0]

        async with db.begin() as tx:
            assert await operations.resume(tx, "queue", "mail", by="ana")
        await worker.run_due()

    assert RAN == ["bill b", "mail a", "mail c"]


async def test_jobs_of_a_paused_task_are_parked_without_an_attempt_and_go_on(database_url):
    async with database(database_url) as db:
        worker = Worker(Jobs(db, tasks=[mail, bill], run=False))
        async with db.begin() as tx:
            await operations.pause(tx, "task", bill.name, by="ana")
        await enqueue(db, (bill, "a"), (mail, "b"), (bill, "c"))

        await worker.run_due()
        assert RAN == ["mail b"]
        parked = [row for row in await rows(db) if row.task == bill.name]
        assert [(row.state, row.attempts, row.error_code) for row in parked] == [
            (State.PARKED, 0, "PAUSED")
        ] * 2

        async with db.begin() as tx:
            await operations.resume(tx, "task", bill.name, by="ana")
        await worker.run_due()

    assert RAN == ["mail b", "bill a", "bill c"]


async def test_an_engine_that_runs_hears_of_a_pause_and_of_its_end(database_url):
    async with database(database_url) as db, running(db, mail, bill):
        async with db.begin() as tx:
            await operations.pause(tx, "queue", "mail", by="ana")
        await enqueue(db, (mail, "a"), (bill, "b"))
        await until(lambda: RAN == ["bill b"])

        async with db.begin() as tx:
            await operations.resume(tx, "queue", "mail", by="ana")
        await until(lambda: RAN == ["bill b", "mail a"])


async def test_a_paused_schedule_has_no_ticks_and_makes_up_for_none(database_url):
    async with database(database_url) as db:
        with Clock(NOON) as clock:
            worker = Worker(Jobs(db, tasks=[tidy], run=False))
            await worker.run_due()
            async with db.begin() as tx:
                await operations.pause(tx, "schedule", tidy.name, by="ana")
            clock.advance(timedelta(hours=3))
            await worker.run_due()
            assert RAN == []

            async with db.begin() as tx:
                await operations.resume(tx, "schedule", tidy.name, by="ana")
            await worker.run_due()
            assert RAN == []
            clock.advance(timedelta(hours=1))
            await worker.run_due()

    assert RAN == ["tidy"]


@pytest.mark.parametrize("paused", [False, True])
async def test_run_now_enqueues_one_job_and_leaves_the_next_tick(database_url, paused):
    async with database(database_url) as db:
        with Clock(NOON):
            worker = Worker(Jobs(db, tasks=[tidy], run=False))
            await worker.run_due()
            async with db.read() as tx:
                (before,) = await operations.scheduled(tx)
            async with db.begin() as tx:
                if paused:
                    await operations.pause(tx, "schedule", tidy.name, by="ana")
                assert await operations.run_now(tx, tidy.name, by="ana")
                assert not await operations.run_now(tx, "no.such.task", by="ana")
            await worker.run_due()
            await worker.run_due()
            async with db.read() as tx:
                (after,) = await operations.scheduled(tx)

    assert RAN == ["tidy"]
    assert (before.last_at, after.last_at) == (None, NOON)
    assert after.next_at == before.next_at
    assert after.paused is paused


async def test_a_pause_is_seen_with_who_made_it_and_ends_once(database_url):
    async with database(database_url) as db, db.begin() as tx:
        assert await operations.pause(tx, "task", "a", by="ana")
        assert not await operations.pause(tx, "task", "a", by="ben")
        (seen,) = await operations.paused(tx)
        assert await operations.resume(tx, "task", "a", by="ana")
        assert not await operations.resume(tx, "task", "a", by="ana")

    assert (seen.kind, seen.name, seen.by) == ("task", "a", "ana")


async def test_who_paused_resumed_and_ran_is_written_down_once(database_url):
    async with database(database_url) as db:
        with Clock(NOON):
            await Worker(Jobs(db, tasks=[tidy], run=False)).run_due()
        async with db.begin() as tx:
            await operations.pause(tx, "queue", "mail", by=" ana ")
            await operations.pause(tx, "queue", "mail", by="ben")
        async with db.begin() as tx:
            await operations.resume(tx, "queue", "mail", by="cleo")
            await operations.resume(tx, "queue", "mail", by="ben")
        async with db.begin() as tx:
            await operations.run_now(tx, tidy.name, by="dan")
            await operations.run_now(tx, "no.such.task", by="dan")
        async with db.read() as tx:
            done = await operations.recent(tx)

    assert [(each.who, each.what, dict(each.target)) for each in done] == [
        ("dan", "run_now", {"schedule": tidy.name}),
        ("cleo", "resume", {"queue": "mail"}),
        ("ana", "pause", {"queue": "mail"}),
    ]


async def test_a_pause_that_is_rolled_back_is_none(database_url):
    async with database(database_url) as db:
        async with db.begin() as tx:
            await operations.pause(tx, "queue", "mail", by="ana")
            await tx.rollback()
        await enqueue(db, (mail, "a"))
        await Worker(Jobs(db, tasks=[mail], run=False)).run_due()

    assert RAN == ["mail a"]


@pytest.mark.parametrize(
    ("kind", "name", "by", "told"),
    [
        ("jobs", "a", "ana", 'Write one of "queue", "task", "schedule"'),
        ("queue", "", "ana", "1 to 200 characters"),
        ("queue", "a" * 201, "ana", "has 201"),
        ("queue", "a", " ", 'by="ana"'),
    ],
)
async def test_what_cannot_be_paused_is_refused_in_words(tmp_path, kind, name, by, told):
    async with database(f"sqlite:///{tmp_path / 'app.db'}") as db, db.begin() as tx:
        with pytest.raises(ValueError, match=told):
            await operations.pause(tx, kind, name, by=by)
