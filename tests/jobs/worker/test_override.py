"""Swapping a part in a test, a `Jobs` that runs, and its ping."""

from datetime import UTC, datetime, timedelta

import pytest

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Cron, Embedded, Job, Jobs, task
from roadworthy.jobs.engines.embedded import NoHeartbeat
from roadworthy.testing import Worker


class Mailer:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, to: str) -> None:
        self.sent.append(to)


class FakeMailer(Mailer):
    """Of another type it would do as well: what counts is the type that is asked for."""


@task(name="override.send")
async def send(job: Job, to: str) -> None:
    job.find(Mailer).send(to)


@pytest.fixture
async def db(database_url):
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.create_all)
        yield db


async def test_a_part_is_swapped_for_as_long_as_the_block_lasts(db):
    real, fake = Mailer(), FakeMailer()
    part = Jobs(db, tasks=[send], parts=[real], run=False)
    worker = Worker(part)
    for to in ("swapped", "real"):
        async with db.begin() as tx:
            await send.enqueue(tx, to)
        if to == "swapped":
            with part.override(Mailer, fake):
                await worker.run_due()
        else:
            await worker.run_due()

    assert (fake.sent, real.sent) == (["swapped"], ["real"])


async def test_a_part_that_nobody_could_ask_for_cannot_be_swapped(db):
    with pytest.raises(LookupError, match="No Mailer"), Jobs(db, tasks=[]).override(Mailer, 1):
        pass


async def test_a_worker_runs_what_the_server_only_enqueues(db):
    part = Jobs(db, tasks=[send], run=False)

    assert part.with_engine().tasks == part.tasks
    async with part.with_engine(Embedded()) as running:
        await running.ping()


async def test_a_heart_that_does_not_beat_is_told_of():
    with pytest.raises(NoHeartbeat, match="No jobs are run here"):
        await Embedded().beats()


async def test_a_job_that_was_tried_before_is_found_as_retrying(db):
    async with db.begin() as tx:
        await send.enqueue(tx, "a")
        tried = await send.enqueue(tx, "b")
        await tx.execute(jobs.table.update().where(jobs.table.c.id == tried.id).values(attempts=1))
        found = await jobs.browse(tx, state="retrying")

    assert [record.id for record in found] == [tried.id]


@pytest.mark.parametrize(
    ("days", "expected"),
    [("or", ["2026-02-06", "2026-02-13", "2026-02-20"]), ("and", ["2026-02-13", "2026-03-13"])],
)
def test_days_are_joined_as_cron_does_or_as_celery_does(days, expected):
    cron = Cron("0 0 13 * FRI", days=days)
    moment, found = datetime(2026, 2, 1, tzinfo=UTC), []
    for _ in expected:
        moment = cron.after(moment)
        found.append(moment.date().isoformat())

    assert found == expected


def test_the_way_that_days_are_joined_is_part_of_what_a_schedule_is():
    assert Cron("0 0 13 * FRI").spec == "0 0 13 * FRI UTC"
    assert Cron("0 0 13 * FRI", days="and").spec != Cron("0 0 13 * FRI").spec
    with pytest.raises(ValueError, match="days is 'both'"):
        Cron("0 0 13 * FRI", days="both")


def test_other_days_go_on_as_before():
    cron = Cron("0 0 * * FRI", days="and")

    assert cron.after(datetime(2026, 2, 1, tzinfo=UTC)) == datetime(2026, 2, 6, tzinfo=UTC)
    assert cron.after(datetime(2026, 2, 6, tzinfo=UTC)) - timedelta(days=7) == datetime(
        2026, 2, 6, tzinfo=UTC
    )
