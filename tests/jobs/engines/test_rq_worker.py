"""What `rq worker` does with doorbells, and with the jobs that are its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from jobs.opened import state_of
from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Jobs
from roadworthy.jobs.engines.rq import RqEngine
from support.polling import until_async as until
from support.proxy import Proxy

SHOP = """
import asyncio, json, os
from datetime import timedelta
from pathlib import Path
from roadworthy.database import Database
from roadworthy.jobs import Jobs, task
from roadworthy.jobs.engines.rq import RqEngine

engine = RqEngine(os.environ["RQ_REDIS_URL"], prefix=os.environ["PREFIX"],
    grace=timedelta(seconds=0.5), lease=timedelta(seconds=2))

@task(name="shop.note", runs_on="thread")
def note() -> None:
    Path("noted").write_text(json.dumps([os.getpid(), os.getppid()]))

@task(name="shop.wait")
async def wait() -> None:
    Path("waiting").touch()
    await asyncio.sleep(60)

def plain() -> None:
    Path("plain").write_text(json.dumps([os.getpid(), os.getppid()]))

def parts():
    db = Database(os.environ["DATABASE_URL"])
    return db, Jobs(db, tasks=[note, wait], engine=engine)

Worker = engine.register(parts)
"""


@pytest.fixture
def prefix(tmp_path):
    return f"{tmp_path.name}."


@pytest.fixture
async def db(postgres_url):
    async with Database(postgres_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.create_all)
        yield db


@pytest.fixture
def redis(redis_url):
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def shop(tmp_path, monkeypatch, prefix, postgres_url, redis_url):
    """The module of an application, importable here, too."""
    (tmp_path / "shop.py").write_text(SHOP)
    for name, value in (
        ("RQ_REDIS_URL", redis_url),
        ("PREFIX", prefix),
        ("DATABASE_URL", postgres_url),
    ):
        monkeypatch.setenv(name, value)
    namespace = {"__name__": "shop"}
    exec(compile(SHOP, "shop.py", "exec"), namespace)
    return namespace


@contextmanager
def rq(tmp_path: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command `rq` in the folder of the application, in a process group of its own."""
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rq.cli", *words],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sys.stdout.write((tmp_path / "log").read_text())


async def enqueue(db, task):
    async with db.begin() as tx:
        return (await task.enqueue(tx)).id


def pids(path):
    return json.loads(path.read_text()) if path.exists() and path.read_text() else None


async def test_one_worker_runs_jobs_beside_it_and_those_of_rq_as_rq_does(db, redis, shop, tmp_path):
    own = f"{tmp_path.name}-own"
    Queue(own, connection=redis).enqueue("shop.plain")
    with rq(tmp_path, "worker", "--worker-class", "shop.Worker", own) as worker:
        async with Jobs(db, tasks=[shop["note"], shop["wait"]], engine=shop["engine"]):
            await enqueue(db, shop["note"])
            beside, of_beside = await until(lambda: pids(tmp_path / "noted"))
            horse, of_horse = await until(lambda: pids(tmp_path / "plain"))
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(20)

    assert (of_beside, of_horse) == (worker.pid, worker.pid)
    assert (code, horse != beside) == (0, True)


async def test_a_worker_of_another_class_says_what_to_type(db, shop, prefix, tmp_path):
    with rq(tmp_path, "worker", f"{prefix}default"):
        async with Jobs(db, tasks=[shop["note"], shop["wait"]], engine=shop["engine"]):
            id_ = await enqueue(db, shop["note"])
            text = f"type: rq worker --worker-class shop.Worker {prefix}default"
            await until(lambda: text in (tmp_path / "log").read_text())
            state = await state_of(db, id_)

    assert state == "queued"


async def test_jobs_of_a_worker_that_is_killed_are_given_back_by_the_process_beside_it(
    db, shop, prefix, tmp_path
):
    async with Jobs(db, tasks=[shop["note"], shop["wait"]], engine=shop["engine"]):
        with rq(tmp_path, "worker", "-w", "shop.Worker", f"{prefix}default") as worker:
            id_ = await enqueue(db, shop["wait"])
            await until((tmp_path / "waiting").exists)
            worker.kill()
            worker.wait()

            async def given_back():
                return await state_of(db, id_) == "queued"

            await until(given_back)
        async with db.read() as tx:
            record = await jobs.get(tx, id_)

    assert (record.attempts, record.worker) == (0, None)


async def test_a_worker_outlives_a_time_without_redis(db, shop, prefix, tmp_path, redis_url):
    with Proxy(6379) as proxy:
        behind = redis_url.replace(":6379", f":{proxy.port}")
        words = ("worker", "-w", "shop.Worker", f"{prefix}default")
        with rq(tmp_path, *words, RQ_REDIS_URL=behind) as worker:
            await until(lambda: "Listening on" in (tmp_path / "log").read_text())
            proxy.cut()
            await until(lambda: "could not connect" in (tmp_path / "log").read_text())
            proxy.restore()
            async with Jobs(db, tasks=[shop["note"], shop["wait"]], engine=shop["engine"]):
                await enqueue(db, shop["note"])
                await until(lambda: pids(tmp_path / "noted"))
            alive = worker.poll() is None

    assert alive


async def test_what_was_heard_leaves_nothing_in_redis(db, redis, shop, prefix, tmp_path):
    with rq(tmp_path, "worker", "-w", "shop.Worker", f"{prefix}default"):
        async with Jobs(db, tasks=[shop["note"], shop["wait"]], engine=shop["engine"]):
            await enqueue(db, shop["note"])
            await until(lambda: pids(tmp_path / "noted"))
            await until(lambda: not redis.keys(f"rq:queue*:{prefix}*"))
            left = [redis.hget(key, "origin") for key in redis.keys("rq:job:*")]

    assert f"{prefix}default".encode() not in left


async def test_a_worker_that_is_told_no_queue_serves_those_of_register(redis_url):
    engine = RqEngine(redis_url)
    worker_class = engine.register(lambda: (), queues=["default", "mail"])
    with Redis.from_url(redis_url) as redis:
        told = worker_class(["roadworthy.mail"], connection=redis)
        untold = worker_class(["default"], connection=redis)

    assert told.queue_names() == ["roadworthy.mail"]
    assert untold.queue_names() == ["default", "roadworthy.default", "roadworthy.mail"]
