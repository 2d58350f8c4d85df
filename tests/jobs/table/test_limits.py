"""Limits: one at a time and a rate for each key, whoever runs the jobs."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Backoff, Embedded, Job, Jobs, Limit, State, TryAgain, enqueue_many, task
from roadworthy.jobs.table import admission, insert
from roadworthy.testing import Clock, Worker
from support.polling import until_async

MINUTE = timedelta(minutes=1)
BRIEF = timedelta(milliseconds=100)
"""The grace of an engine whose job outlasts its test."""
PER_MINUTE = Limit(rate=2, per=MINUTE)


class Places:
    """Counts who is in, by key, and when each came."""

    def __init__(self) -> None:
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[tuple[str, float]] = []

    async def stay(self, key: str, seconds: float) -> None:
        self.began.append((key, time.monotonic()))
        self.inside[key] += 1
        self.most[key] = max(self.most[key], self.inside[key])
        await asyncio.sleep(seconds)
        self.inside[key] -= 1


@task(name="limits.one", limit=Limit(concurrency=1, key=lambda account: account))
async def one(job: Job, account: str, number: int) -> None:
    await job.find(Places).stay(account, 0.01)


@task(name="limits.two", limit=Limit(concurrency=2))
async def two(job: Job) -> None:
    await job.find(Places).stay("", 0.02)


@task(name="limits.rated", limit=Limit(rate=3, per=timedelta(seconds=1)))
async def rated(job: Job) -> None:
    await job.find(Places).stay("", 0)


@task(name="limits.minute", attempts=3, backoff=Backoff(first=timedelta(0)), limit=PER_MINUTE)
async def minute(again: bool = False) -> None:
    if again:
        raise TryAgain


@task(name="limits.shared_a", limit=Limit(concurrency=1, name="partner"))
async def shared_a(job: Job) -> None:
    await job.find(Places).stay("", 0.02)


@task(name="limits.shared_b", limit=Limit(concurrency=1, name="partner"))
async def shared_b(job: Job) -> None:
    await job.find(Places).stay("", 0.02)


@task(name="limits.free")
async def free(job: Job) -> None:
    await job.find(Places).stay("free", 0)


@task(name="limits.failing", attempts=1, limit=Limit(concurrency=1))
async def failing(tx: AsyncSession) -> None:
    raise LookupError


@task(name="limits.maybe", limit=Limit(concurrency=1, key=lambda user: user))
async def maybe(user: UUID | None = None) -> None: ...


@pytest.fixture
async def db(database_url):
    async with Database(database_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(jobs.metadata.create_all)
        yield db


async def add(db, *calls):
    async with db.begin() as tx:
        return [added.id for added in await enqueue_many(tx, calls)]


async def states(db):
    async with db.engine.connect() as connection:
        rows = await connection.execute(sa.select(jobs.table.c.state))
        return Counter(rows.scalars())


async def until_done(db, number):
    async def done():
        return (await states(db))[State.SUCCEEDED] == number

    await until_async(done)


async def until_dead(db):
    async def dead():
        return (await states(db))[State.DEAD] > 0

    await until_async(dead)


def workers(url, count, places, tasks, **options):
    """Databases and engines of their own, as processes have them."""
    found = []
    for _ in range(count):
        db = Database(url)
        engine = Embedded(concurrency=8, poll=timedelta(seconds=0.1), **options)
        found += [db, Jobs(db, tasks=tasks, parts=[places], engine=engine)]
    return found


@asynccontextmanager
async def opened(parts):
    async with AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(part)
        yield


async def test_one_at_a_time_for_each_key_in_all_workers_together(db, database_url):
    places = Places()
    await add(db, *(one.call(account, number) for number in range(8) for account in "abc"))

    async with opened(workers(database_url, 3, places, [one])):
        await until_done(db, 24)

    assert set(places.most.values()) == {1}
    assert Counter(key for key, _ in places.began) == {"a": 8, "b": 8, "c": 8}


async def test_so_many_at_a_time_are_used(db, database_url):
    places = Places()
    await add(db, *(two.call() for _ in range(12)))

    async with opened(workers(database_url, 2, places, [two])):
        await until_done(db, 12)

    assert places.most[""] == 2


async def test_no_more_than_the_rate_begin_in_any_such_time(db, database_url):
    places = Places()
    await add(db, *(rated.call() for _ in range(9)))
    began = time.monotonic()

    async with opened(workers(database_url, 2, places, [rated])):
        await until_done(db, 9)

    assert time.monotonic() - began >= 2.0
    async with db.engine.connect() as connection:
        rows = await connection.execute(sa.select(jobs.table.c.started_at))
        starts = sorted(rows.scalars())
    assert all(starts[n + 3] - starts[n] >= timedelta(seconds=1) for n in range(6))


async def test_tasks_that_name_one_limit_share_it(db, database_url):
    places = Places()
    await add(db, *(call() for _ in range(5) for call in (shared_a.call, shared_b.call)))

    async with opened(workers(database_url, 2, places, [shared_a, shared_b])):
        await until_done(db, 10)

    assert places.most[""] == 1


async def test_jobs_without_a_limit_pass_a_long_line(db, database_url):
    places = Places()
    await add(db, *(one.call("a", number) for number in range(500)), free.call())

    async def passed():
        return any(key == "free" for key, _ in places.began)

    async with opened(workers(database_url, 1, places, [one, free])):
        await until_async(passed)

    assert len(places.began) < 100


async def test_jobs_of_a_key_begin_in_their_turn(db):
    ids = await add(db, *(two.call() for _ in range(5)))
    worker = Worker(Jobs(db, tasks=[two], parts=[Places()]))

    assert [record.id for record in await worker.run_due()] == ids


async def test_a_job_that_waits_for_a_place_is_blocked_and_queued_to_clients(db):
    [id_, *_] = await add(db, two.call(), two.call())

    async with db.read() as session:
        record = await jobs.get(session, id_)
    assert (record.state, record.status, record.limit_key) == (
        State.BLOCKED,
        "queued",
        "limits.two:",
    )


async def test_the_place_of_a_dead_worker_is_free_again(db):
    await add(db, one.call("a", 1), one.call("a", 2))
    with Clock() as clock:
        worker = Worker(Jobs(db, tasks=[one], parts=[Places()]))
        with worker.crash_at("ran"):
            await worker.run_due()
        assert await worker.run_due() == []
        assert (await states(db))[State.BLOCKED] == 1

        clock.advance(2 * worker.lease)
        assert len(await worker.run_due()) == 2


async def test_the_place_of_a_job_that_fails_for_good_is_free_again(db):
    await add(db, failing.call(), failing.call())
    worker = Worker(Jobs(db, tasks=[failing]))

    assert [record.status for record in await worker.run_due()] == ["dead", "dead"]


async def test_a_rate_counts_attempts_and_forgets_them_in_its_time(db):
    await add(db, minute.call(again=True), minute.call())
    with Clock() as clock:
        worker = Worker(Jobs(db, tasks=[minute]))
        assert len(await worker.run_due()) == 2  # of the first one twice, or each of them once

        clock.advance(MINUTE - timedelta(seconds=1))
        assert await worker.run_due() == []
        clock.advance(timedelta(seconds=2))
        assert len(await worker.run_due()) == 2


async def test_a_cancelled_job_takes_no_place_and_one_that_is_wanted_again_waits_for_one(db):
    first, second = await add(db, two.call(), two.call())
    async with db.begin() as tx:
        assert await jobs.cancel(tx, first)
        assert await jobs.retry(tx, first)

    assert (await states(db))[State.BLOCKED] == 2
    worker = Worker(Jobs(db, tasks=[two], parts=[Places()]))
    assert {record.id for record in await worker.run_due()} == {first, second}


async def test_a_later_job_asks_for_its_place_when_it_is_due(db):
    with Clock() as clock:
        await add(db, two.options(delay=MINUTE).call())
        worker = Worker(Jobs(db, tasks=[two], parts=[Places()]))
        assert (await worker.run_due(), await states(db)) == ([], {State.SCHEDULED: 1})

        clock.advance(MINUTE)
        assert len(await worker.run_due()) == 1


async def test_a_limit_that_was_taken_away_holds_up_nobody(db, database_url):
    await add(db, two.call(), two.call(), two.call())
    unlimited = task(name="limits.two")(two.function)

    async with opened(workers(database_url, 1, Places(), [unlimited])):
        await until_done(db, 3)


async def test_more_keys_than_one_round_looks_at_are_all_served(db, monkeypatch):
    monkeypatch.setattr(admission, "_KEYS", 2)
    await add(db, *(one.call(str(number), number) for number in range(7)))
    worker = Worker(Jobs(db, tasks=[one], parts=[Places()]))

    ran = []
    for _ in range(10):
        ran += await worker.run_due()
    assert len(ran) == 7


async def test_nobody_looks_again_and_again_while_places_are_taken(db, database_url, monkeypatch):
    looks = 0
    admit = admission.Admission.admit

    async def counted(self, connection, now):
        nonlocal looks
        looks += 1
        return await admit(self, connection, now)

    monkeypatch.setattr(admission.Admission, "admit", counted)
    await add(db, *(held.call() for _ in range(50)))
    async with opened(workers(database_url, 1, Places(), [held], grace=BRIEF)):
        await asyncio.sleep(2)

    assert looks < 40


@task(name="limits.held", limit=Limit(concurrency=1))
async def held() -> None:
    await asyncio.sleep(60)


def test_keys_are_of_equal_values_and_of_nothing_else():
    name = UUID("12345678-1234-5678-1234-567812345678")

    assert maybe.call(name).limit_key == maybe.call(user=name).limit_key
    assert maybe.call().limit_key is None
    assert one.call("a", 1).limit_key == one.call("a", 2).limit_key
    assert one.call("a", 1).limit_key != one.call("b", 1).limit_key


@pytest.mark.parametrize("key", ["x" * 1000, "a\0b", "\ud800", "ä:b", "a\nb"])
def test_a_key_that_no_column_could_hold_is_stored_as_its_hash(key):
    stored = Limit(concurrency=1, key=lambda it: it).key_of("task", {"it": key})

    assert len(stored) <= 200
    assert stored.isprintable()
    assert stored.encode()


def test_a_name_with_a_colon_is_not_another_name_with_a_key():
    limit = Limit(concurrency=1, key=lambda it: it)

    assert limit.key_of("a", {"it": "b:c"}) != limit.key_of("a:b", {"it": "c"})


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({}, "Limit\\(concurrency=1\\)"),
        ({"concurrency": 0}, "concurrency is 0.*concurrency=1"),
        ({"concurrency": True}, "concurrency is True"),
        ({"rate": 0}, "rate is 0.*rate=1"),
        ({"rate": 1, "per": timedelta(0)}, "per=timedelta"),
        ({"rate": 1, "per": timedelta(days=2)}, "per=timedelta"),
        ({"rate": 1, "per": 60}, "per=timedelta"),
        ({"rate": 1, "key": "account"}, "key=lambda"),
        ({"rate": 1, "name": ""}, "name has 1 to"),
    ],
)
def test_a_mistaken_limit_is_refused_where_it_is_written(terms, says):
    with pytest.raises(ValueError, match=says):
        Limit(**terms)


def test_a_key_of_something_that_is_no_argument_is_refused():
    @task(name="limits.unknown", limit=Limit(concurrency=1, key=lambda acount: acount))
    async def unknown(account: str) -> None: ...

    with pytest.raises(TypeError, match=r"limits.unknown: the key of its limit.*acount.*account"):
        _ = unknown.signature


def test_a_rate_over_a_time_that_is_forgotten_before_is_refused():
    with pytest.raises(ValueError, match=r"limits.minute.*Keep jobs for longer"):
        Jobs(Database("sqlite:///x.db"), tasks=[minute], keep=timedelta(seconds=1))


# --- expires -----------------------------------------------------------------------------

BURIED: list[str] = []


@task(name="expires.note", expires=10 * MINUTE)
async def note(text: str) -> None: ...


@note.on_dead
async def bury(tx: AsyncSession, text: str) -> None:
    BURIED.append(text)


@task(name="expires.limited", limit=Limit(concurrency=1))
async def limited(seconds: float) -> None:
    await asyncio.sleep(seconds)


@task(name="expires.again", attempts=2)
async def again(job: Job) -> None:
    if job.attempt == 1:
        raise TryAgain(delay=timedelta(hours=1))


async def test_a_job_that_nobody_began_in_time_is_dead_and_was_not_run(db):
    BURIED.clear()
    told = []
    with Clock() as clock:
        [id_] = await add(db, note.call("late"))
        clock.advance(10 * MINUTE)
        [record] = await Worker(Jobs(db, tasks=[note], on_dead=told.append)).run_due()

    assert (record.id, record.status, record.error_code) == (id_, "dead", "EXPIRED")
    assert (record.attempts, record.started_at) == (0, None)
    assert BURIED == ["late"]
    assert [(failed.error_code, failed.attempt) for failed in told] == [("EXPIRED", 0)]
    async with db.read() as session:
        assert await jobs.attempts(session, id_) == []


async def test_no_attempt_has_failed_when_a_job_expires(db):
    told = []
    with Clock() as clock:
        await add(db, note.call("late"))
        clock.advance(10 * MINUTE)
        await Worker(Jobs(db, tasks=[note], on_failure=told.append)).run_due()

    assert told == []


async def test_a_job_that_was_begun_in_time_is_tried_again_however_late(db):
    with Clock() as clock:
        await add(db, again.options(expires=MINUTE).call())
        worker = Worker(Jobs(db, tasks=[again]))
        await worker.run_due()
        clock.advance(timedelta(hours=2))
        assert [record.status for record in await worker.run_due()] == ["succeeded"]


async def test_the_time_counts_from_when_the_job_is_due(db):
    with Clock() as clock:
        await add(db, note.options(delay=timedelta(hours=1)).call("later"))
        clock.advance(timedelta(hours=1, minutes=9))
        [record] = await Worker(Jobs(db, tasks=[note])).run_due()

    assert record.status == "succeeded"


async def test_an_expired_job_that_is_wanted_again_runs(db):
    with Clock() as clock:
        [id_] = await add(db, note.call("late"))
        clock.advance(timedelta(hours=1))
        worker = Worker(Jobs(db, tasks=[note]))
        await worker.run_due()
        async with db.begin() as tx:
            assert await jobs.retry(tx, id_)
        [record] = await worker.run_due()

    assert (record.status, record.expires_at) == ("succeeded", None)


async def test_what_expires_in_a_line_needs_no_place(db, database_url):
    async with opened(workers(database_url, 1, Places(), [limited], grace=BRIEF)):
        await add(db, limited.call(60), limited.options(expires=timedelta(seconds=0.5)).call(0))
        await until_dead(db)
        assert (await states(db))[State.RUNNING] == 1


async def test_an_engine_buries_what_has_expired(db, database_url):
    await add(db, note.options(expires=timedelta(milliseconds=1)).call("late"))
    await asyncio.sleep(0.05)
    async with opened(workers(database_url, 1, Places(), [note])):
        await until_dead(db)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"expires": timedelta(0)}, "expires is .* has to be more than"),
        ({"expires": timedelta(seconds=-1)}, "expires is .* has to be more than"),
        ({"expires": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is the mistake
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "nobody could ever run it"),
        (
            {"expires": datetime.now(UTC) + MINUTE, "delay": timedelta(hours=1)},
            "nobody could ever run it",
        ),
    ],
)
def test_a_time_that_cannot_be_is_refused_where_it_is_written(options, says):
    with pytest.raises(ValueError, match=says):
        note.options(**options)


def test_a_time_beyond_the_calendar_is_its_last_day(tmp_path):
    call = note.options(expires=timedelta.max).call("x")

    assert insert._row(call)["expires_at"].year == 9999


def test_a_term_that_is_no_time_is_refused():
    with pytest.raises(ValueError, match=r"expires=timedelta\(minutes=10\)"):
        task(name="x", expires=timedelta(0))(note.function)
