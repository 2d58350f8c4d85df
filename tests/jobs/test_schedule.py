"""Scheduled tasks: the times of `Cron` and `Every`, and the jobs that become of them."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs.opened import database, rows, running
from jobs.ticked import DAILY, DAY, HOUR, MINUTE, NOON, next_at, tick, watching
from roadworthy.jobs import Cron, Every, task
from support.polling import until_async as until
from support.postgres import database_on

SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC)
"""Berlin goes from 02:00 to 03:00."""
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""Berlin goes from 03:00 back to 02:00."""


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """One database for all tests of this file: making one takes longer than a test."""
    with database_on(postgres_server) as url:
        yield url


def times(schedule, start, *, until_):
    found, moment = [], start
    while (moment := schedule.after(moment)) < until_:
        found.append(moment)
    return found


def berlin(expression):
    return Cron(expression, zone="Europe/Berlin")


class TestCron:
    def test_a_time_is_one_of_its_zone(self):
        assert berlin("0 3 * * *").after(NOON) == datetime(2026, 6, 2, 1, tzinfo=UTC)
        assert Cron("0 3 * * *").after(NOON) == datetime(2026, 6, 2, 3, tzinfo=UTC)

    def test_a_moment_on_the_dot_is_over(self):
        assert Cron("0 12 * * *").after(NOON) == NOON + DAY

    def test_times_are_told_in_utc(self):
        assert berlin("0 3 * * *").after(NOON).utcoffset() == timedelta(0)

    def test_a_time_that_does_not_exist_runs_just_after(self):
        found = times(berlin("30 2 * * *"), SPRING - DAY, until_=SPRING + DAY)

        assert found == [SPRING - DAY + HOUR / 2, SPRING, SPRING + DAY - HOUR / 2]

    def test_a_time_that_exists_twice_runs_once(self):
        found = times(berlin("30 2 * * *"), AUTUMN - DAY, until_=AUTUMN + 2 * DAY)

        assert found == [AUTUMN - HOUR / 2, AUTUMN + DAY + HOUR / 2]

    @pytest.mark.parametrize("minutes", range(-60, 61, 5))
    @pytest.mark.parametrize("expression", ["30 2 * * *", "15,45 2 * * *", "*/20 * * * *"])
    @pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])
    def test_no_time_is_over_when_it_is_told(self, expression, minutes, change):
        """A worker that starts in the hour that comes twice would enqueue without end"""
        now = change + minutes * MINUTE

        assert berlin(expression).after(now) > now

    @pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])
    def test_what_runs_each_hour_does_so_when_the_clocks_change(self, change):
        found = times(berlin("0 * * * *"), change - 3 * HOUR, until_=change + 3 * HOUR)

        assert found == [change + number * HOUR for number in range(-2, 3)]

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("0 9 * * MON-FRI", datetime(2026, 6, 2, 9, tzinfo=UTC)),
            ("0 0 L * *", datetime(2026, 6, 30, tzinfo=UTC)),
            ("0 0 * * MON#2", datetime(2026, 6, 8, tzinfo=UTC)),
            ("*/15 * * * *", datetime(2026, 6, 1, 12, 15, tzinfo=UTC)),
        ],
    )
    def test_names_ranges_steps_and_the_last_day_are_understood(self, expression, expected):
        assert Cron(expression).after(NOON) == expected

    @pytest.mark.parametrize(
        "wrong", ["", "daily", "0 3 * *", "0 0 3 * * *", "61 * * * *", "0 0 30 2 *", "@daily"]
    )
    def test_what_is_no_expression_says_how_one_looks(self, wrong):
        with pytest.raises(ValueError, match=r"Write minute, hour, day.*'0 3 \* \* \*'"):
            Cron(wrong)

    @pytest.mark.parametrize("wrong", ["Berlin", "Europe", "", "../etc/passwd"])
    def test_what_is_no_zone_says_what_is(self, wrong):
        with pytest.raises(ValueError, match=r"no time zone.*'Europe/Berlin'.*tzdata"):
            Cron("0 3 * * *", zone=wrong)

    def test_its_spec_tells_it_from_others(self):
        assert berlin("0 3 * * *").spec == "0 3 * * * Europe/Berlin"


class TestEvery:
    def test_times_are_counted_from_midnight_so_that_every_process_agrees(self):
        every = Every(timedelta(minutes=5))

        assert every.after(NOON) == NOON + 5 * MINUTE
        assert every.after(NOON + 4.99 * MINUTE) == NOON + 5 * MINUTE

    def test_the_clocks_of_a_zone_do_not_matter(self):
        found = times(Every(6 * HOUR), AUTUMN - 12 * HOUR, until_=AUTUMN + 12 * HOUR)

        assert [moment.hour for moment in found] == [18, 0, 6, 12]

    @pytest.mark.parametrize("wrong", [timedelta(0), timedelta(seconds=0.5), -DAY])
    def test_less_than_a_second_is_refused_with_an_example(self, wrong):
        with pytest.raises(ValueError, match=r"Every\(timedelta\(minutes=5\)\)"):
            Every(wrong)

    def test_its_spec_tells_it_from_others(self):
        assert Every(timedelta(minutes=5)).spec == "every 300 s"
        assert Every(timedelta(days=100)).spec != Every(timedelta(days=100, seconds=1)).spec


class TestTicks:
    async def test_a_new_schedule_begins_with_its_next_time(self, database_url):
        async with database(database_url) as db:
            told = await tick(db, watching(Every(HOUR)), NOON + MINUTE)

            assert told == await next_at(db) == NOON + HOUR
            assert await rows(db) == []

    async def test_a_tick_becomes_one_job_whoever_watches(self, database_url):
        async with database(database_url) as db:
            first, second = (watching(Every(HOUR)) for _ in range(2))
            for ticks in (first, second):
                await tick(db, ticks, NOON + MINUTE)
            for ticks in (first, second, first):
                assert await tick(db, ticks, NOON + HOUR) == NOON + 2 * HOUR
            (row,) = await rows(db)

        assert (row.task, row.arguments, row.state) == ("report", "{}", "queued")

    async def test_processes_that_look_at_the_same_moment_make_one_job(self, postgres_url):
        async with database(postgres_url) as db:
            watchers = [watching(Every(HOUR)) for _ in range(5)]
            for ticks in watchers:
                await tick(db, ticks, NOON + MINUTE)
            await asyncio.gather(*(tick(db, ticks, NOON + HOUR) for ticks in watchers))

            assert len(await rows(db)) == 1

    async def test_ticks_that_were_missed_become_one_job(self, database_url):
        async with database(database_url) as db:
            await tick(db, watching(Every(HOUR)), NOON + MINUTE)
            told = await tick(db, watching(Every(HOUR)), NOON + 10.5 * HOUR)

            assert told == NOON + 11 * HOUR
            assert len(await rows(db)) == 1

    async def test_a_restart_moves_no_time(self, database_url):
        async with database(database_url) as db:
            await tick(db, watching(Cron(DAILY)), NOON)
            await tick(db, watching(Cron(DAILY)), NOON + HOUR)

            assert await next_at(db) == datetime(2026, 6, 2, 3, tzinfo=UTC)

    async def test_a_restart_after_the_time_does_not_skip_it(self, database_url):
        async with database(database_url) as db:
            await tick(db, watching(Cron(DAILY)), NOON)
            await tick(db, watching(Cron(DAILY)), NOON + DAY)

            assert len(await rows(db)) == 1

    async def test_a_schedule_that_was_changed_begins_with_its_next_time(self, database_url):
        async with database(database_url) as db:
            await tick(db, watching(Cron(DAILY)), NOON)
            await tick(db, watching(Cron("0 4 * * *")), NOON + 2 * DAY)

            assert await next_at(db) == datetime(2026, 6, 4, 4, tzinfo=UTC)
            assert await rows(db) == []

    async def test_what_was_rolled_back_is_done_again(self, database_url):
        ticks = watching(Every(HOUR))
        async with database(database_url) as db:
            async with db.engine.connect() as connection:
                await ticks.enqueue_due(connection, NOON)
                await connection.rollback()
            await tick(db, ticks, NOON)
            async with db.engine.connect() as connection:
                await ticks.enqueue_due(connection, NOON + HOUR)
                await connection.rollback()
            await tick(db, ticks, NOON + HOUR)

            assert len(await rows(db)) == 1

    async def test_a_scheduled_task_runs_by_the_clock(self, database_url):
        ran = []

        @task(name="report", schedule=Every(timedelta(seconds=1)))
        async def report(days: int = 1) -> None:
            ran.append((datetime.now(UTC), days))

        async with database(database_url) as db, running(db, report):
            await until(lambda: len(ran) >= 2)
            found = await rows(db)

        assert {days for _, days in ran} == {1}
        assert all(row.enqueued_at.microsecond < 900_000 for row in found)
