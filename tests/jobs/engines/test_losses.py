"""What a broker or a worker loses, and that no job is among it."""

import asyncio
import signal
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from jobs.engines.celery_crew import CeleryCrew
from jobs.engines.crews import Crew
from jobs.engines.rq_crew import RqCrew
from jobs.engines.slow import slow
from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import enqueue_many
from roadworthy.jobs.broker.relay import BrokerAway
from roadworthy.testing import contract_tasks
from roadworthy.testing.contract_tasks import contract_jobs, effects, note
from support.brokers import private_redis
from support.polling import until_async as until
from support.proxy import Proxy

CREWS = {
    "celery-rabbitmq": (CeleryCrew, "rabbitmq_url", 5672),
    "celery-redis": (CeleryCrew, "redis_url", 6379),
    "rq": (RqCrew, "redis_url", 6379),
}
MANY = 500
HOUR = timedelta(hours=1)


_FIRST, *_OTHERS = CREWS
soaks = pytest.mark.parametrize(
    "crew", [_FIRST, *(pytest.param(one, marks=pytest.mark.soak) for one in _OTHERS)], indirect=True
)
"""One engine always; what takes long, with the others in `make test-all`."""


@pytest.fixture(params=CREWS)
def crew(request: pytest.FixtureRequest) -> Crew:
    kind, url, _ = CREWS[request.param]
    return kind(broker=request.getfixturevalue(url))


@pytest.fixture
async def db(postgres_url):
    async with Database(postgres_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.create_all)
            await connection.run_sync(contract_tasks.metadata.create_all)
        yield db


@asynccontextmanager
async def ringing(db, crew, **options):
    engine = crew.new_engine(**options)
    async with contract_jobs(db, engine=engine, tasks=[slow, note]):
        yield engine


async def enqueue(db, *calls):
    async with db.begin() as tx:
        await enqueue_many(tx, calls)


async def states(db):
    async with db.read() as session:
        rows = await session.execute(
            select(jobs.table.c.state, func.count()).group_by(jobs.table.c.state)
        )
        return Counter(dict(rows.all()))


async def some_are_done(db):
    return MANY / 10 < (await states(db))["succeeded"] < MANY


async def all_are_done(db, number=MANY):
    return (await states(db)) == {"succeeded": number}


async def names_of_effects(db):
    async with db.read() as session:
        return Counter(await session.scalars(select(effects.c.name)))


@soaks
async def test_a_broker_that_is_wiped_loses_no_job(db, crew, postgres_url, tmp_path):
    calls = [slow.call(str(tmp_path / "log"), str(number)) for number in range(MANY)]

    with crew.worker(postgres_url, tasks=[slow], concurrency=5):
        async with ringing(db, crew):
            await enqueue(db, *calls)
            await until(lambda: some_are_done(db))
            await asyncio.to_thread(crew.wipe)
            await until(lambda: all_are_done(db), seconds=60)

    assert await names_of_effects(db) == {str(number): 1 for number in range(MANY)}


@soaks
async def test_workers_that_are_killed_lose_no_job_and_repeat_no_effect(
    db, crew, postgres_url, tmp_path
):
    log = tmp_path / "log"
    calls = [slow.call(str(log), str(number)) for number in range(MANY)]

    async with ringing(db, crew):
        await enqueue(db, *calls)
        for _ in range(4):
            before = (await states(db))["succeeded"]
            with crew.worker(postgres_url, tasks=[slow], concurrency=5, ending=signal.SIGKILL):
                await until(partial(more_are_done, db, before), seconds=60)
        assert not await all_are_done(db), "there was nothing left to lose"
        with crew.worker(postgres_url, tasks=[slow]):
            await until(lambda: all_are_done(db), seconds=60)

    assert await names_of_effects(db) == {str(number): 1 for number in range(MANY)}
    assert len(log.read_text().splitlines()) > MANY, "none was killed while it ran"


async def more_are_done(db, before):
    return (await states(db))["succeeded"] >= before + 40


@pytest.mark.parametrize("kind", [pytest.param(CeleryCrew, marks=pytest.mark.soak), RqCrew])
async def test_a_redis_that_is_killed_and_comes_back_empty_loses_no_job(
    db, kind, postgres_url, tmp_path
):
    log, half = str(tmp_path / "log"), MANY // 2
    with private_redis() as redis:
        crew = kind(broker=redis.url)
        with crew.worker(postgres_url, tasks=[slow], concurrency=5):
            async with ringing(db, crew):
                await enqueue(db, *[slow.call(log, str(number)) for number in range(half)])
                await until(lambda: some_are_done(db))
                await asyncio.to_thread(redis.kill)
                await enqueue(db, *[slow.call(log, str(n)) for n in range(half, MANY)])
                await asyncio.to_thread(redis.start)
                await until(lambda: all_are_done(db), seconds=90)

    assert await names_of_effects(db) == {str(number): 1 for number in range(MANY)}


@pytest.mark.parametrize(
    "name", ["celery-rabbitmq", pytest.param("celery-redis", marks=pytest.mark.soak), "rq"]
)
async def test_while_the_broker_is_away_jobs_are_kept_and_run_in_their_order_when_it_is_back(
    request, name, db, postgres_url, tmp_path, caplog
):
    kind, fixture, port = CREWS[name]
    url = request.getfixturevalue(fixture)
    log = str(tmp_path / "log")
    with Proxy(port) as proxy:
        crew = kind(broker=url.replace(f":{port}", f":{proxy.port}"))
        behind = kind(broker=url, prefix=crew.prefix)
        async with ringing(db, crew, again=HOUR) as engine:
            await engine.ping()
            proxy.cut()
            for number, priority in enumerate([-10, 10, 0]):
                await enqueue(db, note.options(priority=priority).call(log, str(number)))
            await until(lambda: "The broker of jobs is away" in caplog.text)
            with pytest.raises(BrokerAway):
                await engine.ping()
            kept = await states(db)
            proxy.restore()
            with behind.worker(postgres_url, tasks=[note], concurrency=1):
                await until(lambda: all_are_done(db, 3), seconds=60)

    assert kept == {"queued": 3}
    assert (tmp_path / "log").read_text().split() == ["1", "2", "0"]


async def test_of_several_relays_one_rings_for_each_job(db, crew, tmp_path):
    log = str(tmp_path / "log")
    async with ringing(db, crew, again=HOUR), ringing(db, crew, again=HOUR):
        for _ in range(20):
            await enqueue(db, *[note.call(log, "") for _ in range(10)])
        await until(lambda: all_are_rung(db, 200))

    assert sum(crew.rung_for()) == 200


async def all_are_rung(db, number):
    marked = select(func.count()).where(jobs.table.c.leased_until.is_not(None))
    async with db.read() as session:
        return await session.scalar(marked) == number


async def test_doorbells_that_nobody_hears_are_sent_again_and_do_not_pile_up(db, crew, tmp_path):
    await enqueue(db, *[note.call(str(tmp_path), "") for _ in range(10)])
    async with ringing(db, crew, again=timedelta(seconds=0.4)):
        await until(lambda: all_are_rung(db, 10))
        await asyncio.sleep(2)
        waiting = crew.rung_for()
        await until(lambda: crew.rung_for() == [1] * 10)

    assert 10 < len(waiting) <= 10 + 2 / 0.4
