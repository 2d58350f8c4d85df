"""Workers have rows while they live, and operators see who is silent."""

import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobs.opened import database
from roadworthy.jobs import Embedded, Jobs, operations, task
from roadworthy.jobs.table import clock
from support.polling import until_async as until
from support.postgres import database_on


@task(queue="mail")
async def mail(to: str) -> None: ...


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


async def seen(db, **options):
    async with db.read() as tx:
        return await operations.running(tx, **options)


async def test_a_worker_is_seen_while_it_lives_and_gone_when_it_has_stopped(database_url):
    async with database(database_url) as db:
        async with Jobs(db, tasks=[mail], engine=Embedded(processes=1), version="1.4.2"):
            (worker,) = await until(lambda: seen(db))
            assert (worker.pid, worker.role, worker.version) == (os.getpid(), "worker", "1.4.2")
            assert set(worker.queues) == {"default", "mail"}
            assert not worker.silent
        assert await seen(db) == []


async def test_a_worker_without_a_heartbeat_is_silent_and_then_forgotten(database_url):
    async with (
        database(database_url) as db,
        Jobs(db, tasks=[mail], engine=Embedded(processes=1, lease=timedelta(seconds=15))),
    ):
        await until(lambda: seen(db))
        (later,) = await seen(db, now=clock.now() + timedelta(seconds=60))
        assert later.silent
        assert await seen(db, now=clock.now() + timedelta(days=2)) == []


async def test_two_workers_are_two_rows(database_url):
    async with database(database_url) as db:
        first, second = (
            Jobs(db, tasks=[mail], engine=Embedded(processes=1), version=version)
            for version in ("1", "2")
        )
        async with first, second:
            workers = await until(lambda: _both(db))
            assert {worker.version for worker in workers} == {"1", "2"}


async def _both(db):
    workers = await seen(db)
    return workers if len(workers) == 2 else None
