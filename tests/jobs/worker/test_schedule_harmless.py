"""One bad schedule: what it does concerns its own task, and no job of another."""

from asyncio import CancelledError
from collections import Counter
from copy import copy
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from jobs.opened import database, rows, running
from jobs.ticked import HOUR, MINUTE, NOON, SECOND, scheduled, specs, tick
from roadworthy._internal.calendar import LAST
from roadworthy.jobs import Every
from roadworthy.jobs.table.tables import schedules
from roadworthy.jobs.worker.scheduler import Scheduler
from support.polling import until_async as until


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
    "is cancelled": Own(raising(CancelledError())),
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
KINDS = {**BAD, **FINE}


@pytest.mark.sampled
@pytest.mark.parametrize("kind", KINDS)
async def test_it_stops_itself_alone(database_url, kind, caplog):
    bad = scheduled(copy(KINDS[kind]), "a.bad")  # some know how often they were asked
    async with database(database_url) as db:
        ticks = Scheduler([scheduled(Every(HOUR), "before"), bad, scheduled(Every(HOUR), "z")])
        await tick(db, ticks, NOON + MINUTE)
        await tick(db, ticks, NOON + 61 * MINUTE)
        found = Counter(row.task for row in await rows(db))

    assert (found["before"], found["z"]) == (1, 1)
    assert ("a.bad has no tick" in caplog.text) == (kind in BAD)


async def test_the_last_tick_of_a_list_is_run(database_url):
    dates = [NOON + HOUR, NOON + 2 * HOUR]
    listed = Own(lambda moment: next(date for date in dates if date > moment))
    async with database(database_url) as db:
        ticks = Scheduler([scheduled(listed)])
        for hours in range(6):
            await tick(db, ticks, NOON + hours * HOUR + MINUTE)
        (row,) = (await specs(db)).values()

        assert len(await rows(db)) == 2
        assert row.next_at.replace(tzinfo=UTC) == LAST
        dates.append(NOON + 9 * HOUR)  # somebody adds one
        for hours in range(6, 12):
            await tick(db, ticks, NOON + hours * HOUR + MINUTE)
        assert len(await rows(db)) == 3


async def test_an_engine_runs_the_others_and_does_not_blame_the_table(database_url, caplog):
    bad = scheduled(Own(raising(RuntimeError("no calendar"))), "jubilee")
    other = scheduled(Every(SECOND), "other")
    async with database(database_url) as db, running(db, bad, other):

        async def done():
            return any(row.state == "succeeded" for row in await rows(db))

        await until(done)

    assert "jubilee has no tick" in caplog.text
    assert "no calendar" in caplog.text
    assert "table" not in caplog.text
    assert caplog.text.count("jubilee has no tick") == 1


@pytest.mark.parametrize(
    "wrong", [Own, Every, 5, "daily", timedelta(1), Own(None, spec=5), object()]
)
def test_what_is_no_schedule_is_refused_where_it_is_declared(wrong):
    with pytest.raises(ValueError, match=r"schedule is .*Every\(timedelta"):
        scheduled(wrong)


async def test_a_host_that_slept_runs_what_is_due(database_url):
    slow = scheduled(Every(5 * HOUR))
    async with database(database_url) as db, running(db, slow, poll=timedelta(seconds=0.2)):

        async def there():
            return await specs(db)

        await until(there)
        async with db.engine.begin() as connection:
            past = datetime.now(UTC) - MINUTE
            await connection.execute(update(schedules).values(next_at=past))

        async def ran():
            return await rows(db)

        await until(ran, seconds=12)
