"""Find and count the jobs of a filter: all of them, in order, a bounded part at a time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs.opened import database
from jobs.operations.test_bulk import put, row
from roadworthy._internal.ids import new_id
from roadworthy.jobs import State, operations
from roadworthy.jobs.operations import JobFilter, search
from support.postgres import database_on

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATES = [State.DEAD, State.QUEUED, State.SUCCEEDED, State.RUNNING, State.SCHEDULED]
NEVER = timedelta(0)


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(search, "FIRST", 2)
    monkeypatch.setattr(search, "MOST", 5)


def at(minute, **changed):
    """Return a job that was enqueued so many minutes after noon."""
    moment = NOON + timedelta(minutes=minute)
    state = STATES[minute % 5]
    task = "shop.rare" if minute % 7 == 0 else "shop.mail"
    return row(state, id=new_id(moment.timestamp()), enqueued_at=moment, task=task, **changed)


MEANT = {
    "all": JobFilter(),
    "an indexed state": JobFilter(state="dead"),
    "a state with a task": JobFilter(state="queued", task="shop.rare"),
    "a state that has no index": JobFilter(state="succeeded"),
    "few that run": JobFilter(state="running", task="shop.mail"),
    "retrying": JobFilter(state="retrying"),
    "a task": JobFilter(task="shop.rare"),
    "a time": JobFilter(
        enqueued_after=NOON + timedelta(minutes=20), enqueued_before=NOON + timedelta(minutes=40)
    ),
    "a state and a time": JobFilter(state="dead", enqueued_before=NOON + timedelta(minutes=33)),
    "a text": JobFilter(text='"TO": "a'),
    "nobody": JobFilter(task="no.such.task"),
}


def fits(job, meant):
    wanted = [
        meant.state in {None, job["state"]}
        or (meant.state == "retrying" and job["state"] in {"queued", "scheduled"}),
        meant.task in {None, job["task"]},
        meant.enqueued_after is None or job["enqueued_at"] >= meant.enqueued_after,
        meant.enqueued_before is None or job["enqueued_at"] < meant.enqueued_before,
    ]
    return all(wanted)


@pytest.mark.parametrize("name", MEANT)
async def test_pages_have_every_job_once_the_newest_first(database_url, name):
    jobs, meant = [at(minute) for minute in range(60)], MEANT[name]
    async with database(database_url) as db:
        await put(db, *jobs)
        found, before = [], None
        for _ in range(60):
            async with db.read() as tx:
                page = await operations.find(tx, meant, limit=4, before=before)
            assert len(page.jobs) == 4 or page.before is None
            found += [job.id for job in page.jobs]
            if (before := page.before) is None:
                break
        async with db.read() as tx:
            counted = await operations.count_up_to(tx, meant)

    wanted = [job["id"] for job in reversed(jobs) if fits(job, meant)]
    assert found == wanted
    assert counted == operations.Counted(len(wanted), exact=True)


async def test_a_search_whose_time_is_up_says_how_far_it_has_looked_and_goes_on(database_url):
    jobs, meant = [at(minute) for minute in range(60)], JobFilter(task="shop.rare")
    async with database(database_url) as db:
        await put(db, *jobs)
        found, before, looks = [], None, 0
        while looks == 0 or before:
            async with db.read() as tx:
                page = await operations.find(tx, meant, before=before, within=NEVER)
            found += [job.id for job in page.jobs]
            if page.before is not None:
                assert page.looked_to == next(
                    job["enqueued_at"] for job in jobs if job["id"] == page.before
                )
            before, looks = page.before, looks + 1
        async with db.read() as tx:
            counted = await operations.count_up_to(tx, meant, within=NEVER)

    assert found == [job["id"] for job in reversed(jobs) if fits(job, meant)]
    assert looks > 10
    assert not counted.exact


async def test_counting_ends_at_the_number_that_is_asked_for(database_url):
    async with database(database_url) as db:
        await put(db, *(at(minute) for minute in range(30)))
        async with db.read() as tx:
            assert await operations.count_up_to(tx, JobFilter(), most=7) == operations.Counted(
                7, exact=False
            )


async def test_jobs_of_a_request_are_found_however_many_others_there_are(database_url):
    async with database(database_url) as db:
        mine = [at(minute, request_id="r1") for minute in (0, 30, 59)]
        await put(db, *mine, *(at(minute) for minute in range(60)))
        async with db.read() as tx:
            page = await operations.find(tx, JobFilter(request_id="r1"), within=NEVER)

    assert [job.id for job in page.jobs] == [job["id"] for job in reversed(mine)]
    assert page.before is None


async def test_a_change_whose_time_is_up_says_that_more_are_left(database_url):
    async with database(database_url) as db:
        await put(db, *(at(minute) for minute in range(60)))
        meant = JobFilter(state="dead", task="shop.mail")
        first = await operations.retry_all(db, meant, by="ana", within=NEVER)
        assert first.more
        assert first.done < 10
        rest = await operations.retry_all(db, meant, by="ana")

    assert not rest.more
    assert first.done + rest.done == sum(fits(at(minute), meant) for minute in range(60))
