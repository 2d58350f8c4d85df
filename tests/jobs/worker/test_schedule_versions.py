"""Two versions of a schedule at once: each has its ticks, whoever looks when."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from jobs.opened import database, rows
from jobs.ticked import DAILY, HOUR, MINUTE, NOON, SECOND, scheduled, specs, tick, watching
from roadworthy.jobs import Cron, Every
from roadworthy.jobs.table.tables import schedules
from roadworthy.jobs.worker.scheduler import Scheduler

MIDNIGHT_OF_1970 = datetime(1970, 1, 1, tzinfo=UTC)
"""From which `Every` counts: noon is no border of 25 minutes."""


async def test_each_version_has_its_ticks_whoever_starts_last(database_url):
    old, new = Every(HOUR), Every(10 * MINUTE)
    async with database(database_url) as db:
        watchers = [watching(schedule) for schedule in (old, new, old)]
        for minutes in range(1, 131):
            for ticks in watchers:
                await tick(db, ticks, NOON + minutes * MINUTE)
        assert len(await rows(db)) == 13 + 2

        for minutes in range(131, 191):
            await tick(db, watchers[1], NOON + minutes * MINUTE)
        assert len(await rows(db)) == 13 + 2 + 6
        found = await specs(db)

    assert [(row.task, row.spec) for row in found.values()] == [("report", new.spec)]


async def test_a_rollback_after_days_begins_with_the_next_time(database_url):
    old, new = Every(HOUR), Cron(DAILY)
    async with database(database_url) as db:
        await tick(db, watching(old), NOON)
        newer = watching(new)
        for hours in range(1, 49):
            await tick(db, newer, NOON + hours * HOUR)
        ran = len(await rows(db))
        told = await tick(db, watching(old), NOON + 48.5 * HOUR)

        assert told == NOON + 49 * HOUR
        assert len(await rows(db)) == ran == 2


async def test_a_row_that_an_older_release_has_overwritten_loses_no_tick(database_url):
    async with database(database_url) as db:
        ticks = watching(Every(HOUR))
        await tick(db, ticks, NOON + MINUTE)
        async with db.engine.begin() as connection:  # what it did whenever it started
            await connection.execute(
                update(schedules).values(spec="every 86400 s", next_at=NOON + 12 * HOUR)
            )
        await tick(db, ticks, NOON + 61 * MINUTE)

        assert len(await rows(db)) == 1


async def test_two_that_differ_only_at_their_ends_are_two(database_url):
    class Long:
        def __init__(self, end, every):
            self.spec, self.after = "x" * 500 + end, every.after

    async with database(database_url) as db:
        for schedule in (Long("a", Every(HOUR)), Long("b", Every(2 * HOUR))):
            await tick(db, watching(schedule), NOON + MINUTE)
        assert len({row.spec for row in (await specs(db)).values()}) == 2


async def test_names_as_long_as_they_may_be_have_rows_of_their_own(database_url):
    async with database(database_url) as db:
        names = ["x" * 199 + end for end in "ab"]
        for every in (HOUR, MINUTE):
            tasks = [scheduled(Every(every), name) for name in names]
            await tick(db, Scheduler(tasks), NOON + SECOND)

        assert len(await specs(db)) == 4


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    looks=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 360)), min_size=5, max_size=30),
    minutes=st.permutations([10, 25, 60]),
)
@example(looks=[(0, 9), (0, 9), (0, 8), (0, 9), (0, 265)], minutes=[25, 10, 60])
async def test_whoever_looks_whenever_each_version_has_one_job_a_tick(looks, minutes):
    """`looks` are who looks at the clock, and how many seconds after the one before"""
    async with database("sqlite://") as db:
        watchers = [watching(Every(one * MINUTE)) for one in minutes]
        now, expected, last = NOON, 0, {}
        for who, pause in looks:
            now += pause * SECOND
            slot = (now - MIDNIGHT_OF_1970) // (minutes[who] * MINUTE)
            expected += slot > last.get(who, slot)
            last[who] = slot
            await tick(db, watchers[who], now)

        assert len(await rows(db)) == expected
