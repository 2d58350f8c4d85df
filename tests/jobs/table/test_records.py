"""What operators do with jobs: look at them, run them once more, cancel them, count them."""

import asyncio
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from jobs.opened import Woken, database, rows, running, state_of
from roadworthy import jobs
from roadworthy.jobs import Job, JobRecord, Jobs, State, enqueue_many, task
from support.polling import until_async as until
from support.postgres import database_on

WAITS = [State.SCHEDULED, State.QUEUED, State.PARKED]
ENDED = [State.SUCCEEDED, State.DEAD, State.CANCELLED]
RAN: list[str] = []


class Down(Exception):
    """What a task fails with."""


@task
async def send(order_id: str) -> None:
    RAN.append(order_id)


@task(name="invoice", queue="slow", priority=60)
async def invoice(order_id: str) -> None: ...


@task(attempts=1)
async def fail_once(order_id: str) -> None:
    RAN.append(order_id)
    if len(RAN) == 1:
        raise Down("the mail server is away")


@task
async def wait(job: Job) -> None:
    RAN.append("began")
    try:
        await asyncio.Event().wait()
    finally:
        RAN.append("stopped")


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """One database for all tests of this file: making one takes longer than a test."""
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


async def add(db, *calls):
    """Enqueue jobs, and return their ids from the first to the last."""
    ids = []
    for call in calls:
        async with db.begin() as tx:
            (added,) = await enqueue_many(tx, [call])
        ids.append(added.id)
    return ids


async def put(db, id_, **values):
    """Have a job be as another worker would have left it."""
    async with db.begin() as tx:
        await tx.execute(update(jobs.table).where(jobs.table.c.id == id_).values(**values))


async def record_of(db, id_):
    async with db.read() as tx:
        return await jobs.get(tx, id_)


class TestGet:
    async def test_a_job_is_told_as_it_stands(self, database_url):
        before = datetime.now(UTC)
        async with database(database_url) as db:
            (id_,) = await add(db, invoice.call("1"))
            record = await record_of(db, id_)

        assert isinstance(record, JobRecord)
        assert before <= record.enqueued_at <= datetime.now(UTC)
        assert record == JobRecord(
            id=id_,
            task="invoice",
            state=State.QUEUED,
            queue="slow",
            priority=60,
            arguments='{"order_id":"1"}',
            attempts=0,
            enqueued_at=record.enqueued_at,
            run_at=record.enqueued_at,
            started_at=None,
            finished_at=None,
            worker=None,
            request_id=None,
            error_code=None,
            error=None,
            progress=None,
            progress_note=None,
        )

    async def test_a_job_that_ran_tells_when(self, database_url):
        async with database(database_url) as db, running(db, send):
            (id_,) = await add(db, send.call("1"))
            await until(lambda: is_in(db, id_, "succeeded"))
            record = await record_of(db, id_)

        assert record.enqueued_at <= record.started_at <= record.finished_at
        assert (record.attempts, record.status, record.error_code) == (1, "succeeded", None)

    async def test_every_time_is_in_utc(self, database_url):
        async with database(database_url) as db, running(db, send):
            (id_,) = await add(db, send.call("1"))
            await until(lambda: is_in(db, id_, "succeeded"))
            record = await record_of(db, id_)

        times = [getattr(record, field.name) for field in fields(record)]
        zones = {time.utcoffset() for time in times if isinstance(time, datetime)}
        assert zones == {timedelta(0)}

    async def test_an_unknown_id_is_none(self, database_url):
        async with database(database_url) as db:
            assert await record_of(db, "nothing") is None

    @pytest.mark.parametrize(
        ("state", "attempts", "status"),
        [
            ("scheduled", 0, "queued"),
            ("scheduled", 1, "retrying"),
            ("queued", 0, "queued"),
            ("queued", 2, "retrying"),
            ("parked", 0, "queued"),
            ("running", 1, "running"),
            ("succeeded", 1, "succeeded"),
            ("dead", 5, "dead"),
            ("cancelled", 0, "cancelled"),
        ],
    )
    async def test_its_status_is_in_words_for_clients(self, sqlite_url, state, attempts, status):
        async with database(sqlite_url) as db:
            (id_,) = await add(db, send.call("1"))
            await put(db, id_, state=state, attempts=attempts)

            assert (await record_of(db, id_)).status == status


class TestBrowse:
    async def test_the_newest_come_first(self, database_url):
        async with database(database_url) as db:
            ids = await add(db, *(send.call(str(number)) for number in range(5)))
            async with db.read() as tx:
                found = await jobs.browse(tx)

        assert [record.id for record in found] == ids[::-1]

    async def test_pages_are_gone_through_without_repeating_or_losing_any(self, database_url):
        async with database(database_url) as db:
            ids = await add(db, *(send.call(str(number)) for number in range(7)))
            pages, before = [], None
            async with db.read() as tx:
                while page := await jobs.browse(tx, limit=3, before=before):
                    pages.append([record.id for record in page])
                    before = page[-1].id

        assert [len(page) for page in pages] == [3, 3, 1]
        assert [id_ for page in pages for id_ in page] == ids[::-1]

    async def test_jobs_are_picked_by_state_task_and_queue(self, database_url):
        async with database(database_url) as db:
            one, two, three = await add(db, send.call("1"), invoice.call("2"), send.call("3"))
            await put(db, three, state="dead")
            async with db.read() as tx:
                dead = await jobs.browse(tx, state=State.DEAD)
                of_task = await jobs.browse(tx, task=send.name)
                of_queue = await jobs.browse(tx, queue="slow")
                all_three = await jobs.browse(
                    tx, state=State.QUEUED, task=send.name, queue="default"
                )

        assert [record.id for record in dead] == [three]
        assert [record.id for record in of_task] == [three, one]
        assert [record.id for record in of_queue] == [two]
        assert [record.id for record in all_three] == [one]

    async def test_a_state_may_be_its_word_but_nothing_else(self, database_url):
        async with database(database_url) as db, db.read() as tx:
            assert await jobs.browse(tx, state="dead") == []
            with pytest.raises(ValueError, match="is not a valid State"):
                await jobs.browse(tx, state="dead') OR ('1'='1")


class TestRetry:
    @pytest.mark.parametrize("state", ["dead", "cancelled", "parked"])
    async def test_a_job_that_ended_badly_has_all_its_attempts_again(self, database_url, state):
        async with database(database_url) as db:
            (id_,) = await add(db, send.call("1"))
            ended = {"finished_at": datetime.now(UTC), "cancel_requested": True}
            await put(db, id_, state=state, attempts=5, error_code="DOWN", **ended)
            async with db.begin() as tx:
                assert await jobs.retry(tx, id_) is True
            record = await record_of(db, id_)
            (row,) = await rows(db)

        assert (record.state, record.attempts, record.finished_at) == ("queued", 0, None)
        assert record.run_at > record.enqueued_at
        assert row.cancel_requested is False

    @pytest.mark.parametrize("state", ["scheduled", "queued", "running", "succeeded"])
    async def test_no_other_job_is_retried(self, database_url, state):
        async with database(database_url) as db:
            (id_,) = await add(db, send.call("1"))
            await put(db, id_, state=state)
            async with db.begin() as tx:
                assert await jobs.retry(tx, id_) is False
                assert await jobs.retry(tx, "nothing") is False

            assert await state_of(db, id_) == state

    async def test_its_priority_is_a_head_start_before_what_comes_now(self, database_url):
        async with database(database_url) as db:
            (id_,) = await add(db, invoice.call("1"))
            await put(db, id_, state="dead")
            async with db.begin() as tx:
                await jobs.retry(tx, id_)
            (row,) = await rows(db)

        assert row.run_at - row.turn_at == timedelta(minutes=60)

    async def test_a_dead_job_runs_again_at_once(self, database_url):
        async with database(database_url) as db, running(db, fail_once):
            (id_,) = await add(db, fail_once.call("1"))
            await until(lambda: is_in(db, id_, "dead"))
            dead = await record_of(db, id_)
            async with db.begin() as tx:
                await jobs.retry(tx, id_)
            await until(lambda: is_in(db, id_, "succeeded"))

        assert (dead.error_code, dead.error) == ("DOWN", "Down: the mail server is away")
        assert RAN == ["1", "1"]

    async def test_it_wakes_engines_with_its_commit_only(self, database_url):
        engine = Woken()
        async with database(database_url) as db:
            (id_,) = await add(db, send.call("1"))
            await put(db, id_, state="dead")
            async with Jobs(db, tasks=[send], engine=engine):
                async with db.begin() as tx:
                    await jobs.retry(tx, id_)
                    await tx.rollback()
                assert (engine.times, await state_of(db, id_)) == (0, "dead")

                async with db.begin() as tx:
                    await jobs.retry(tx, id_)
                assert (engine.times, await state_of(db, id_)) == (1, "queued")

                async with db.begin() as tx:
                    await jobs.retry(tx, id_)
                assert engine.times == 1


class TestCancel:
    @pytest.mark.parametrize("state", WAITS)
    async def test_a_job_that_waits_is_cancelled_at_once(self, database_url, state):
        async with database(database_url) as db:
            (id_,) = await add(db, send.options(unique_key="k").call("1"))
            await put(db, id_, state=state)
            async with db.begin() as tx:
                assert await jobs.cancel(tx, id_) is True
                again = await send.options(unique_key="k").enqueue(tx, "1")
            record = await record_of(db, id_)

        assert (record.state, record.error_code) == ("cancelled", "CANCELLED")
        assert record.finished_at is not None
        assert again.created

    async def test_a_job_that_runs_is_stopped_at_once(self, database_url):
        async with database(database_url) as db, running(db, wait):
            (id_,) = await add(db, wait.call())
            await until(lambda: RAN == ["began"])
            async with db.begin() as tx:
                assert await jobs.cancel(tx, id_) is True
            await until(lambda: is_in(db, id_, "cancelled"))

        assert RAN == ["began", "stopped"]

    async def test_a_bare_connection_stops_it_too(self, database_url):
        async with database(database_url) as db, running(db, wait):
            (id_,) = await add(db, wait.call())
            await until(lambda: RAN == ["began"])
            async with db.engine.begin() as connection:
                assert await jobs.cancel(connection, id_) is True
            await until(lambda: is_in(db, id_, "cancelled"))

    @pytest.mark.parametrize("state", ENDED)
    async def test_a_job_that_has_ended_stays_as_it_is(self, database_url, state):
        async with database(database_url) as db:
            (id_,) = await add(db, send.call("1"))
            await put(db, id_, state=state)
            async with db.begin() as tx:
                assert await jobs.cancel(tx, id_) is False
                assert await jobs.cancel(tx, "nothing") is False

            assert await state_of(db, id_) == state

    async def test_a_cancelled_job_does_not_run(self, database_url):
        async with database(database_url) as db:
            first, _ = await add(db, send.call("1"), send.call("2"))
            async with db.begin() as tx:
                await jobs.cancel(tx, first)
            async with running(db, send):
                await until(lambda: RAN)

        assert RAN == ["2"]

    async def test_engines_look_after_it_with_the_commit_only(self, database_url):
        engine = Woken()
        async with database(database_url) as db:
            (id_,) = await add(db, send.call("1"))
            await put(db, id_, state="running")
            async with Jobs(db, tasks=[send], engine=engine):
                async with db.begin() as tx:
                    await jobs.cancel(tx, id_)
                    await tx.rollback()
                assert engine.rechecks == 0

                async with db.begin() as tx:
                    await jobs.cancel(tx, id_)
                assert (engine.times, engine.rechecks) == (0, 1)


class TestStats:
    async def test_an_empty_table_has_none(self, database_url):
        async with database(database_url) as db, db.read() as tx:
            found = await jobs.stats(tx)

        assert (found.states, found.queues) == ({}, {})

    async def test_jobs_are_counted_by_state_and_what_is_due_by_queue(self, database_url):
        async with database(database_url) as db:
            hour_ago = datetime.now(UTC) - timedelta(hours=1)
            ids = await add(
                db,
                send.options(run_at=hour_ago).call("1"),
                send.call("2"),
                invoice.call("3"),
                invoice.options(delay=timedelta(days=1)).call("4"),
                send.call("5"),
            )
            await put(db, ids[-1], state="dead")
            async with db.read() as tx:
                found = await jobs.stats(tx)

        assert found.states == {State.QUEUED: 3, State.SCHEDULED: 1, State.DEAD: 1}
        assert {name: queue.depth for name, queue in found.queues.items()} == {
            "default": 2,
            "slow": 1,
        }
        assert timedelta(hours=1) <= found.queues["default"].oldest < timedelta(hours=2)
        assert timedelta(0) <= found.queues["slow"].oldest < timedelta(hours=1)

    async def test_they_may_be_asked_on_a_bare_connection(self, database_url):
        async with database(database_url) as db:
            ids = await add(db, send.call("1"), send.call("2"))
            async with db.engine.connect() as connection:
                found = await jobs.browse(connection)
                counted = await jobs.stats(connection)
                first = await jobs.get(connection, ids[0])

        assert all(newer.id > older.id for newer, older in pairwise(found))
        assert counted.states == {State.QUEUED: 2}
        assert first == found[-1]


async def is_in(db, id_, state):
    return await state_of(db, id_) == state
