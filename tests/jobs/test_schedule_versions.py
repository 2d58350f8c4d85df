"""Schedules in a deploy: what an operator expects while two versions of them are up."""

import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from jobs.conftest import environment, until
from jobs.opened import database, rows, running
from jobs.opened import until as until_
from roadworthy.jobs import Cron, Every, task
from roadworthy.jobs.calendar import LAST
from roadworthy.jobs.tables import schedules
from roadworthy.jobs.ticks import Ticks

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
HOURLY, DAILY = "3600", "0 3 * * *"
OFTEN = "1"


@pytest.fixture
def version(serve, books):
    """Start a process of a version: `version(every)`."""

    def start(every):
        env = environment(books.url, every=every, lease=2, poll=0.2)
        return serve(command=[sys.executable, "-m", "jobs.services.versions"], env=env)

    return start


def count(books, name="sync"):
    return books.effects()[name]


def more(books, number=2, *, seconds=40):
    """Wait for so many more ticks of the changed schedule."""
    before = count(books)
    until(lambda: count(books) >= before + number, seconds=seconds)


def each_tick_once(books):
    found = [job.enqueued_at.replace(microsecond=0) for job in books.jobs() if job.task == "fixed"]
    assert max(Counter(found).values()) == 1, "a tick has two jobs"
    assert max(b - a for a, b in pairwise(found)) <= 15 * SECOND, "ticks are missing"


class TestTwoProcesses:
    @pytest.mark.parametrize("old", [HOURLY, DAILY, ""])
    def test_the_new_ticks_come_during_and_after_a_rollout(self, version, books, old):
        first = version(old)
        version(OFTEN)
        more(books)
        first.stop()
        more(books, 3)

        each_tick_once(books)

    def test_also_where_an_old_process_was_the_last_to_start(self, version, books):
        first = version(HOURLY)
        version(OFTEN)
        second = version(HOURLY)
        first.stop(signal.SIGKILL)
        more(books)
        second.stop()
        more(books, 3)

        each_tick_once(books)

    def test_a_rollback_has_the_old_ticks_again(self, version, books):
        first = version(OFTEN)
        more(books)
        second = version(DAILY)
        first.stop()
        time.sleep(2)
        before = count(books)
        time.sleep(3)
        assert count(books) == before, "the new version is due once a day"
        version(OFTEN)
        more(books)
        second.stop()
        more(books)

        each_tick_once(books)

    def test_a_schedule_that_was_removed_has_no_ticks_once_the_old_version_is_gone(
        self, version, books
    ):
        first = version(OFTEN)
        more(books)
        version("")
        more(books, 1)
        first.stop()
        time.sleep(2)
        before = count(books)
        time.sleep(3)

        assert count(books) == before
        each_tick_once(books)


def scheduled(schedule, name="report"):
    @task(name=name, schedule=schedule)
    async def report(days: int = 1) -> None: ...

    return report


async def tick(db, ticks, now):
    async with db.engine.begin() as connection:
        return await ticks.pass_(connection, now)


async def specs(db):
    async with db.engine.connect() as connection:
        return {row.task: row for row in await connection.execute(select(schedules))}


class TestRows:
    async def test_each_version_has_its_ticks_whoever_starts_last(self, database_url):
        old, new = Every(HOUR), Every(10 * MINUTE)
        async with database(database_url) as db:
            watchers = [Ticks([scheduled(schedule)]) for schedule in (old, new, old)]
            for minutes in range(1, 131):
                for ticks in watchers:
                    await tick(db, ticks, NOON + minutes * MINUTE)
            assert len(await rows(db)) == 13 + 2

            for minutes in range(131, 191):
                await tick(db, watchers[1], NOON + minutes * MINUTE)
            assert len(await rows(db)) == 13 + 2 + 6
            found = await specs(db)

        assert [(row.task, row.spec) for row in found.values()] == [("report", new.spec)]

    async def test_a_rollback_after_days_begins_with_the_next_time(self, database_url):
        old, new = Every(HOUR), Cron(DAILY)
        async with database(database_url) as db:
            await tick(db, Ticks([scheduled(old)]), NOON)
            newer = Ticks([scheduled(new)])
            for hours in range(1, 49):
                await tick(db, newer, NOON + hours * HOUR)
            ran = len(await rows(db))
            told = await tick(db, Ticks([scheduled(old)]), NOON + 48.5 * HOUR)

            assert told == NOON + 49 * HOUR
            assert len(await rows(db)) == ran == 2

    async def test_a_row_that_an_older_release_has_overwritten_loses_no_tick(self, database_url):
        async with database(database_url) as db:
            ticks = Ticks([scheduled(Every(HOUR))])
            await tick(db, ticks, NOON + MINUTE)
            async with db.engine.begin() as connection:  # what it did whenever it started
                await connection.execute(
                    update(schedules).values(spec="every 86400 s", next_at=NOON + 12 * HOUR)
                )
            await tick(db, ticks, NOON + 61 * MINUTE)

            assert len(await rows(db)) == 1

    async def test_two_that_differ_only_at_their_ends_are_two(self, database_url):
        class Long:
            def __init__(self, end, every):
                self.spec, self.after = "x" * 500 + end, every.after

        async with database(database_url) as db:
            first = Ticks([scheduled(Long("a", Every(HOUR)))])
            second = Ticks([scheduled(Long("b", Every(2 * HOUR)))])
            for ticks in (first, second):
                await tick(db, ticks, NOON + MINUTE)
            assert len({row.spec for row in (await specs(db)).values()}) == 2

    async def test_names_as_long_as_they_may_be_have_rows_of_their_own(self, database_url):
        async with database(database_url) as db:
            names = ["x" * 199 + end for end in "ab"]
            for every in (HOUR, MINUTE):
                tasks = [scheduled(Every(every), name) for name in names]
                await tick(db, Ticks(tasks), NOON + SECOND)

            assert len(await specs(db)) == 4

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), min_size=5, max_size=30),
        st.permutations([10, 25, 60]),
    )
    async def test_whoever_looks_whenever_no_tick_has_two_jobs(self, looks, minutes):
        """And whoever has looked before and after a tick of its own has had it"""
        async with database("sqlite://") as db:
            watchers = [Ticks([scheduled(Every(one * MINUTE), "t")]) for one in minutes]
            now, expected, seen = NOON, 0, dict.fromkeys(range(3))
            for who, pause in looks:
                now += pause * MINUTE / 7
                every = minutes[who] * MINUTE
                slot = (now - NOON) // every
                expected += seen[who] is not None and slot > seen[who]
                seen[who] = slot
                await tick(db, watchers[who], now)

            assert len(await rows(db)) == expected


class Own:
    """A schedule of the application's own, which does what it is told."""

    spec = "own"

    def __init__(self, after, spec="own"):
        self.after_ = after
        if spec != "own":
            self.spec = spec

    def after(self, moment):
        return self.after_(moment)


class BadSpec:
    asked = 0

    @property
    def spec(self):
        self.asked += 1
        if self.asked > 1:
            raise RuntimeError("spec")
        return "fine when it is declared"

    def after(self, moment):
        return moment + HOUR


class Panic(BaseException): ...


def raising(error):
    def after(moment):
        raise error

    return after


BAD = {
    "raises": Own(raising(RuntimeError("no calendar"))),
    "stops": Own(raising(StopIteration())),
    "panics": Own(raising(Panic())),
    "is cancelled": Own(raising(__import__("asyncio").CancelledError())),
    "none": Own(lambda _: None),
    "a text": Own(lambda _: "2030-01-01"),
    "no zone": Own(lambda _: datetime(2030, 1, 1)),  # noqa: DTZ001
    "over": Own(lambda moment: moment - HOUR),
    "now": Own(lambda moment: moment),
    "a spec that raises": BadSpec(),
}
FINE = {
    "the last day": Own(lambda _: datetime.max.replace(tzinfo=UTC)),
    "a spec with U+0000": Own(Every(HOUR).after, "a\0b"),
    "a spec with half a pair": Own(Every(HOUR).after, "\ud800"),
    "a long spec": Own(Every(HOUR).after, "x" * 10_000),
    "millennia": Every(timedelta.max),
}


class TestOneBadSchedule:
    @pytest.mark.parametrize("kind", [*BAD, *FINE])
    async def test_it_stops_itself_alone(self, database_url, kind, caplog):
        bad = scheduled({**BAD, **FINE}[kind], "a.bad")
        async with database(database_url) as db:
            ticks = Ticks([scheduled(Every(HOUR), "before"), bad, scheduled(Every(HOUR), "z")])
            await tick(db, ticks, NOON + MINUTE)
            await tick(db, ticks, NOON + 61 * MINUTE)
            found = Counter(row.task for row in await rows(db))

        assert (found["before"], found["z"]) == (1, 1)
        assert ("a.bad has no tick" in caplog.text) == (kind in BAD)

    async def test_the_last_tick_of_a_list_is_run(self, database_url):
        dates = [NOON + HOUR, NOON + 2 * HOUR]
        listed = Own(lambda moment: next(date for date in dates if date > moment))
        async with database(database_url) as db:
            ticks = Ticks([scheduled(listed)])
            for hours in range(6):
                await tick(db, ticks, NOON + hours * HOUR + MINUTE)
            (row,) = (await specs(db)).values()

            assert len(await rows(db)) == 2
            assert row.next_at.replace(tzinfo=UTC) == LAST
            dates.append(NOON + 9 * HOUR)  # somebody adds one
            for hours in range(6, 12):
                await tick(db, ticks, NOON + hours * HOUR + MINUTE)
            assert len(await rows(db)) == 3

    async def test_an_engine_runs_the_others_and_does_not_blame_the_table(
        self, database_url, caplog
    ):
        bad = scheduled(Own(raising(RuntimeError("no calendar"))), "jubilee")
        other = scheduled(Every(SECOND), "other")
        async with database(database_url) as db, running(db, bad, other):

            async def done():
                return any(row.state == "succeeded" for row in await rows(db))

            await until_(done)

        assert "jubilee has no tick" in caplog.text
        assert "no calendar" in caplog.text
        assert "table" not in caplog.text
        assert caplog.text.count("jubilee has no tick") == 1

    @pytest.mark.parametrize(
        "wrong", [Own, Every, 5, "daily", timedelta(1), Own(None, spec=5), object()]
    )
    def test_what_is_no_schedule_is_refused_where_it_is_declared(self, wrong):
        with pytest.raises(ValueError, match=r"schedule is .*Every\(timedelta"):
            scheduled(wrong)

    async def test_a_host_that_slept_runs_what_is_due(self, database_url):
        slow = scheduled(Every(5 * HOUR))
        async with database(database_url) as db, running(db, slow, poll=timedelta(seconds=0.2)):

            async def there():
                return await specs(db)

            await until_(there)
            async with db.engine.begin() as connection:
                past = datetime.now(UTC) - MINUTE
                await connection.execute(update(schedules).values(next_at=past))

            async def ran():
                return await rows(db)

            await until_(ran, seconds=12)
