"""What tests of schedules share: a scheduled task, a process that looks at the clock, its rows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import select

from roadworthy.database import Database
from roadworthy.jobs import Task, task
from roadworthy.jobs.schedule import Schedule
from roadworthy.jobs.table.tables import schedules
from roadworthy.jobs.worker.scheduler import Scheduler

NOON: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
DAILY: Final = "0 3 * * *"


def scheduled(schedule: Schedule, name: str = "report") -> Task[...]:
    """Declare a task that does nothing, by a schedule."""

    @task(name=name, schedule=schedule)
    async def report(days: int = 1) -> None: ...

    return report


def watching(schedule: Schedule) -> Scheduler:
    """Return what a process does about one scheduled task."""
    return Scheduler([scheduled(schedule)])


async def tick(db: Database, ticks: Scheduler, now: datetime) -> datetime | None:
    """Let a process look at the clock once."""
    async with db.engine.begin() as connection:
        return await ticks.enqueue_due(connection, now)


async def specs(db: Database) -> Mapping[str, Any]:
    """Return the rows of schedules, by their keys."""
    async with db.engine.connect() as connection:
        return {row.task: row for row in await connection.execute(select(schedules))}


async def next_at(db: Database) -> datetime:
    """Return the next time of the one schedule there is."""
    (row,) = (await specs(db)).values()
    moment: datetime = row.next_at
    return moment.replace(tzinfo=UTC)


def at_most_one_a_second(jobs: Sequence[Any], *, pause: timedelta = 15 * SECOND) -> None:
    """Expect no tick of a second to have two jobs, and none to be missing for long.

    The jobs of two seconds may have been enqueued in one, where the first one was late.
    """
    found = sorted(job.enqueued_at for job in jobs)
    lasted = (found[-1] - found[0]) / SECOND
    assert len(found) <= lasted + 2, "a tick has two jobs"
    assert max(b - a for a, b in pairwise(found)) <= pause, "ticks are missing"
