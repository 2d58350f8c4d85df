"""What is typed reaches the workers that run."""

import asyncio
import sys
from datetime import timedelta

import pytest

from roadworthy import jobs, tables
from roadworthy.database import Database
from roadworthy.jobs import Embedded, GiveUp, Jobs, task

SECONDS = 30.0  # far less than the poll below, far more than a command takes


class Desk:
    """Where the tasks of a test meet it."""

    def __init__(self) -> None:
        self.open = False
        self.dead, self.begun, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()


@task(name="once.open")
async def once_open(job: jobs.Job) -> None:
    desk = job.find(Desk)
    if not desk.open:
        raise GiveUp("closed")
    desk.ended.set()


@task(name="for.ever")
async def for_ever(job: jobs.Job) -> None:
    desk = job.find(Desk)
    desk.begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        desk.ended.set()


async def type_(db_url: str, *words: str) -> int:
    command = [sys.executable, "-m", "roadworthy.cli", "jobs", *words, "--database", db_url]
    return await (await asyncio.create_subprocess_exec(*command)).wait()


@pytest.fixture
async def desk() -> Desk:
    return Desk()


def part(db: Database, desk: Desk, *, lease: float) -> Jobs:
    engine = Embedded(poll=timedelta(hours=1), lease=timedelta(seconds=lease))
    return Jobs(
        db,
        tasks=[once_open, for_ever],
        parts=[desk],
        engine=engine,
        on_dead=lambda _: desk.dead.set(),
    )


async def enqueue(db: Database, sending: jobs.Sending[[]]) -> str:
    async with db.begin() as tx:
        return (await sending.enqueue(tx)).id


async def test_a_retried_job_starts_without_waiting_for_a_poll(postgres_url, desk):
    async with Database(postgres_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)
        async with part(db, desk, lease=3600):
            id_ = await enqueue(db, once_open)
            await asyncio.wait_for(desk.dead.wait(), SECONDS)
            desk.open = True

            code = await type_(postgres_url, "retry", id_)

            await asyncio.wait_for(desk.ended.wait(), SECONDS)
            assert code == 0


async def test_a_running_job_that_is_cancelled_stops_with_the_next_heartbeat(database_url, desk):
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)
        async with part(db, desk, lease=1):
            id_ = await enqueue(db, for_ever)
            await asyncio.wait_for(desk.begun.wait(), SECONDS)

            code = await type_(database_url, "cancel", id_)

            await asyncio.wait_for(desk.ended.wait(), SECONDS)
            assert code == 0
