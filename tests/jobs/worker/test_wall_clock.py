"""The clock on the wall of one machine is wrong: on PostgreSQL, the server's counts."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.opened import database, rows, running
from roadworthy.jobs import Every, task
from roadworthy.jobs.table import ledger
from roadworthy.jobs.table.tables import schedules
from roadworthy.jobs.worker.heartbeat import Heartbeat
from support.polling import until_async as until

HOUR = timedelta(hours=1)


class Wall:
    """A clock that may jump."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    clock = Wall()
    monkeypatch.setattr(ledger, "_utc", clock.now)
    return clock


@task(name="report", schedule=Every(HOUR))
async def report() -> None: ...


@task(name="other")
async def other() -> None: ...


async def next_report(db):
    async with db.engine.connect() as connection:
        found = (await connection.execute(select(schedules.c.next_at))).scalar()
    return found and found.replace(tzinfo=UTC)


async def run_other(db):
    async with db.begin() as tx:
        await other.enqueue(tx)
    await until(lambda: is_done(db))
    return await rows(db)


async def is_done(db):
    return [row for row in await rows(db) if row.state == "succeeded" and row.task == "other"]


@pytest.fixture
def late_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first heartbeat comes after the first look for jobs, as it may."""

    async def beat_forever(self: Heartbeat) -> None:
        await asyncio.sleep(1)
        await beats(self)

    beats = Heartbeat.beat_forever
    monkeypatch.setattr(Heartbeat, "beat_forever", beat_forever)


@pytest.mark.usefixtures("late_heartbeat")
@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_a_process_that_starts_with_a_wrong_clock_keeps_schedules(postgres_url, wall, ahead):
    wall.ahead = ahead
    async with database(postgres_url) as db, running(db, report, other):
        found = await until(lambda: next_report(db))
        now = datetime.now(UTC)

    assert now < found <= now + HOUR


async def test_a_jump_moves_no_schedule_and_no_lease(postgres_url, wall):
    async with database(postgres_url) as db, running(db, report, other):
        before = await until(lambda: next_report(db))
        wall.ahead = HOUR
        (done,) = await run_other(db)
        after, now = await next_report(db), datetime.now(UTC)

    assert after == before
    assert done.started_at < now + timedelta(minutes=1)
