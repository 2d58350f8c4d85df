"""Change all jobs that a filter means: guarded, in batches, and written down."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update

from jobs.opened import database, rows
from roadworthy.jobs import State, operations, table, task
from roadworthy.jobs.operations import JobFilter, bulk
from roadworthy.jobs.table.tables import actions
from support.postgres import database_on

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@task
async def mail(to: str) -> None: ...


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


def row(state: State, **changed: object) -> dict[str, object]:
    """Return a row of a job as it would be in a state."""
    return {
        "id": str(uuid4()),
        "task": "shop.mail",
        "version": 1,
        "arguments": '{"to": "a"}',
        "state": state.value,
        "queue": "default",
        "runs_on": "loop",
        "priority": 0,
        "turn_at": NOW,
        "attempts": 3,
        "enqueued_at": NOW,
        "run_at": NOW,
        "cancel_requested": False,
        "error_code": None,
        "request_id": None,
        "unique_key": None,
        "unique_of": None,
        **changed,
    }


async def put(db, *jobs):
    async with db.engine.begin() as connection:
        await connection.execute(insert(table), list(jobs))


async def states(db):
    return Counter(found.state for found in await rows(db))


@pytest.mark.parametrize("size", [1, 7, bulk.BATCH])
async def test_all_that_are_meant_are_retried_and_no_other(database_url, monkeypatch, size):
    monkeypatch.setattr(bulk, "BATCH", size)
    async with database(database_url) as db:
        meant = [row(State.DEAD, error_code="DOWN") for _ in range(20)]
        others = [row(State.DEAD, error_code="LOST"), row(State.SUCCEEDED), row(State.CANCELLED)]
        await put(db, *meant, *others)

        filter_ = JobFilter(state="dead", error_code="DOWN")
        changed = await operations.retry_all(db, filter_, by="ana")

        assert changed == operations.Changed(done=20, kept=0)
        assert await states(db) == {"queued": 20, "dead": 1, "succeeded": 1, "cancelled": 1}
        assert {found.attempts for found in await rows(db) if found.state == "queued"} == {0}


async def test_each_keeps_the_head_start_of_its_priority(database_url):
    async with database(database_url) as db:
        await put(db, row(State.DEAD, priority=60), row(State.DEAD), row(State.DEAD, priority=-5))
        await operations.retry_all(db, JobFilter(state="dead"), by="ana")
        found = await rows(db)

    assert all(each.run_at - each.turn_at == timedelta(minutes=each.priority) for each in found)


async def test_one_of_several_with_a_unique_key_is_queued_and_the_rest_are_kept(database_url):
    async with database(database_url) as db:
        await put(db, *(row(State.DEAD, unique_of="k") for _ in range(3)), row(State.DEAD))
        changed = await operations.retry_all(db, JobFilter(state="dead"), by="ana")

        assert changed == operations.Changed(done=2, kept=2)
        assert await states(db) == {"queued": 2, "dead": 2}


async def test_jobs_that_wait_are_cancelled_and_those_that_run_are_asked_to_stop(database_url):
    async with database(database_url) as db:
        waiting = [row(state) for state in (State.QUEUED, State.SCHEDULED, State.PARKED)]
        await put(db, *waiting, row(State.RUNNING, worker="w"), row(State.DEAD))
        changed = await operations.cancel_all(db, JobFilter(task="shop.mail"), by="ana")

        assert changed.done == 4
        assert await states(db) == {"cancelled": 3, "running": 1, "dead": 1}
        assert [each.cancel_requested for each in await rows(db) if each.state == "running"] == [
            True
        ]


async def test_dismissed_jobs_can_still_be_retried(database_url):
    async with database(database_url) as db:
        await put(db, row(State.DEAD), row(State.PARKED), row(State.QUEUED))
        assert (await operations.dismiss_all(db, JobFilter(), by="ana")).done == 2
        dismissed = [each for each in await rows(db) if each.state == "cancelled"]
        assert [each.error_code for each in dismissed] == ["DISMISSED"] * 2
        assert (await operations.retry_all(db, JobFilter(), by="ana")).done == 2


async def test_every_batch_is_written_down_with_who_what_and_how_many(database_url, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 2)
    async with database(database_url) as db:
        await put(db, *(row(State.DEAD) for _ in range(5)))
        await operations.retry_all(db, JobFilter(state="dead", task="shop.mail"), by=" ana ")
        async with db.read() as tx:
            done = await operations.recent(tx)

    assert [each.jobs for each in done] == [1, 2, 2]
    assert {(each.who, each.what) for each in done} == {("ana", "retry_all")}
    assert dict(done[0].target) == {"state": "dead", "task": "shop.mail"}


async def test_nothing_changed_is_nothing_written_down(database_url):
    async with database(database_url) as db:
        assert await operations.retry_all(db, JobFilter(), by="ana") == operations.Changed(0, 0)
        async with db.read() as tx:
            assert (await tx.execute(select(actions))).all() == []


async def test_a_job_that_moves_on_between_the_look_and_the_change_is_left_alone(
    database_url, monkeypatch
):
    async with database(database_url) as db:
        await put(db, row(State.DEAD), row(State.DEAD, error_code="GONE"))
        retry = bulk._CHANGES["retry"]

        def after_somebody_else(connection, found):
            gone = table.c.error_code == "GONE"
            connection.execute(update(table).where(gone).values(state="succeeded"))
            return retry(connection, found)

        monkeypatch.setitem(bulk._CHANGES, "retry", after_somebody_else)
        changed = await operations.retry_all(db, JobFilter(state="dead"), by="ana")

        assert changed == operations.Changed(done=1, kept=1)
        assert await states(db) == {"queued": 1, "succeeded": 1}


async def test_a_job_that_the_filter_means_no_more_when_it_is_changed_is_left_alone(
    database_url, monkeypatch
):
    change = bulk._Batch.change

    def after_it_died_of_something_else(batch, connection, ids):
        other = update(table).where(table.c.id == ids[0]).values(error_code="OTHER")
        connection.execute(other)
        return change(batch, connection, ids)

    monkeypatch.setattr(bulk._Batch, "change", after_it_died_of_something_else)
    async with database(database_url) as db:
        await put(db, *(row(State.DEAD, error_code="DOWN") for _ in range(3)))
        changed = await operations.retry_all(db, JobFilter(error_code="DOWN"), by="ana")

        assert changed == operations.Changed(done=2, kept=1)
        assert await states(db) == {"queued": 2, "dead": 1}


async def test_a_limit_bounds_how_many_are_looked_at(database_url):
    async with database(database_url) as db:
        await put(db, *(row(State.DEAD) for _ in range(5)))
        changed = await operations.retry_all(db, JobFilter(), by="ana", limit=3)

        assert changed.done == 3
        assert await states(db) == {"queued": 3, "dead": 2}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("meant", "ids"),
    [
        (JobFilter(), "abcde"),
        (JobFilter(state="dead"), "ab"),
        (JobFilter(state="retrying"), "d"),
        (JobFilter(task="other"), "b"),
        (JobFilter(queue="slow"), "c"),
        (JobFilter(request_id="r1"), "e"),
        (JobFilter(enqueued_after=NOW), "abcd"),
        (JobFilter(enqueued_before=NOW), "e"),
        (JobFilter(text="100%_\\"), "c"),
        (JobFilter(text="100%", state="dead"), ""),
        (JobFilter(text="a'b\"; --"), ""),
    ],
)
async def test_a_filter_means_what_it_says(database_url, meant, ids):
    async with database(database_url) as db:
        await put(
            db,
            row(State.DEAD, id="a"),
            row(State.DEAD, id="b", task="other"),
            row(State.QUEUED, id="c", queue="slow", attempts=0, arguments='{"to": "100%_\\"}'),
            row(State.SCHEDULED, id="d"),
            row(State.SUCCEEDED, id="e", request_id="r1", enqueued_at=NOW - timedelta(days=1)),
        )
        async with db.read() as tx:
            found = await tx.scalars(select(table.c.id).where(*meant.conditions()))
            assert "".join(sorted(found)) == ids
        assert await operations.count(db, meant) == len(ids)
        assert await operations.count(db, meant, most=1) == min(len(ids), 1)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"state": "done"}, 'write "retrying", "scheduled"'),
        ({"enqueued_after": datetime(2026, 1, 1)}, "enqueued_after needs a zone"),  # noqa: DTZ001
    ],
)
def test_a_filter_that_can_mean_nothing_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        JobFilter(**wrong)
