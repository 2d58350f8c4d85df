"""A killed worker's jobs on SQLite run at the next start, however long their lease."""

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Embedded, Job, Jobs, task

HOUR = timedelta(hours=1)
BRIEFLY = timedelta(seconds=0.1)


@task(name="wait")
async def wait(job: Job) -> None:
    if job.attempt == 1:
        print("running", flush=True)  # noqa: T201 - the test waits for it
        await asyncio.sleep(60)


async def run(url: str) -> None:
    async with Database(url) as db, Jobs(db, tasks=[wait], engine=Embedded(lease=HOUR)):
        async with db.begin() as tx:
            await wait.enqueue(tx)
        await asyncio.sleep(60)


def start_worker(url: str) -> "subprocess.Popen[str]":
    code = f"import asyncio, runpy; asyncio.run(runpy.run_path({__file__!r})['run']({url!r}))"
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "running\n"
    return worker


def kill(worker: "subprocess.Popen[str]") -> None:
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=10)


async def with_tables(db: Database) -> None:
    async with db.engine.begin() as connection:
        await connection.run_sync(jobs.metadata.create_all)


async def ends_within(db: Database, seconds: float) -> bool:
    async def ended() -> bool:
        async with db.read() as session:
            return (await jobs.browse(session))[0].state == jobs.State.SUCCEEDED

    for _ in range(int(seconds / 0.05)):
        if await ended():
            return True
        await asyncio.sleep(0.05)
    return False


async def test_after_a_kill_the_next_start_does_not_wait_for_the_lease(sqlite_url, tmp_path):
    async with Database(sqlite_url) as db:
        await with_tables(db)
        kill(await asyncio.to_thread(start_worker, sqlite_url))

        async with Jobs(db, tasks=[wait], engine=Embedded(lease=HOUR)):
            assert await ends_within(db, 10)

    assert [path.name for path in tmp_path.glob("*-workers-*")] == []


async def test_after_a_kill_another_that_lives_does_not_wait_for_the_lease(sqlite_url, tmp_path):
    """Its lease may be an hour ahead as well because the clock was."""
    async with Database(sqlite_url) as db:
        await with_tables(db)
        worker = await asyncio.to_thread(start_worker, sqlite_url)

        async with Jobs(db, tasks=[wait], engine=Embedded(lease=timedelta(seconds=1))):
            assert not await ends_within(db, 1)
            kill(worker)
            assert await ends_within(db, 10)

    assert [path.name for path in tmp_path.glob("*-workers-*")] == []


async def test_jobs_of_a_worker_that_lives_are_left_to_it(sqlite_url):
    async with Database(sqlite_url) as db:
        await with_tables(db)
        worker = await asyncio.to_thread(start_worker, sqlite_url)

        async with Jobs(db, tasks=[wait], engine=Embedded(lease=HOUR)):
            taken_over = await ends_within(db, 1)
        kill(worker)

        assert not taken_over


async def test_a_second_worker_in_the_same_process_is_not_taken_for_dead(sqlite_url):
    async with Database(sqlite_url) as db:
        await with_tables(db)
        first = Jobs(db, tasks=[wait], engine=Embedded(lease=HOUR, grace=BRIEFLY))
        async with first:
            async with db.begin() as tx:
                await wait.enqueue(tx)
            await asyncio.sleep(0.3)

            async with Jobs(db, tasks=[wait], engine=Embedded(lease=HOUR)):
                assert not await ends_within(db, 0.5)


async def test_a_directory_that_cannot_be_written_does_not_stop_the_start(tmp_path, monkeypatch):
    db = Database(f"sqlite:///{tmp_path / 'jobs.db'}")
    monkeypatch.setattr(Path, "open", refuse)
    async with db:
        await with_tables(db)
        async with Jobs(db, tasks=[wait]):
            pass


def refuse(*_: object, **__: object) -> None:
    raise PermissionError
