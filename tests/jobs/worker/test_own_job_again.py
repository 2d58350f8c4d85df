"""A worker that stood still may find a job of its own in the queue."""

import asyncio
from datetime import timedelta

import sqlalchemy as sa

from roadworthy import jobs, tables
from roadworthy.database import Database
from roadworthy.jobs import Embedded, Jobs, task


class Desk:
    def __init__(self) -> None:
        self.begun: list[int] = []
        self.other = asyncio.Event()
        self.go = asyncio.Event()


@task(name="own.wait", queue="own")
async def wait(job: jobs.Job) -> None:
    desk = job.find(Desk)
    desk.begun.append(job.attempt)
    await desk.go.wait()


@task(name="own.other", queue="own")
async def other(job: jobs.Job) -> None:
    job.find(Desk).other.set()


async def until(db: Database, task_name: str, state: str) -> None:
    count = sa.select(sa.func.count()).where(
        jobs.table.c.task == task_name, jobs.table.c.state == state
    )
    async with asyncio.timeout(20):
        while True:
            async with db.read() as read:
                if await read.scalar(count):
                    return
            await asyncio.sleep(0.01)


async def test_a_job_that_is_claimed_again_by_who_still_runs_it_is_not_begun_twice(database_url):
    desk = Desk()
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)
        engine = Embedded(concurrency=2, lease=timedelta(minutes=5))
        async with Jobs(db, tasks=[wait, other], parts=[desk], engine=engine):
            async with db.begin() as tx:
                await wait.enqueue(tx)
            await until(db, wait.name, "running")

            async with db.begin() as tx:  # what another worker does when our lease has ended
                await tx.execute(sa.update(jobs.table).values(state="queued", worker=None))
                await other.enqueue(tx)
            async with asyncio.timeout(20):
                await desk.other.wait()
            desk.go.set()

            await until(db, wait.name, "succeeded")
            assert desk.begun == [1]
            assert engine.has_room  # no place is lost
