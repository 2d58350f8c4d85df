"""What tests in one process share: an open database with jobs in it, and a way to wait."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import make_url, select

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Embedded, Jobs, Task
from roadworthy.tables import metadata

V = TypeVar("V")

RARELY = timedelta(minutes=1)
"""Between two polls, or heartbeats. No test waits for one: what comes sooner was woken."""
SYNC = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
PLAIN = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


class Woken:
    """An engine that runs nothing, and counts what it hears."""

    has_room = True

    def __init__(self) -> None:
        self.times = 0
        self.rechecks = 0

    async def start(self, work: object) -> None: ...
    async def stop(self) -> None: ...

    def wake(self) -> None:
        self.times += 1

    def recheck(self) -> None:
        self.rechecks += 1


@asynccontextmanager
async def database(url: str, **options: Any) -> AsyncGenerator[Database]:
    """Open a database that has the tables, and nothing in them."""
    async with Database(url, **options) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        yield db


def running(db: Any, *tasks: Task[...], poll: timedelta = RARELY, **options: Any) -> Jobs:
    """Return the part that runs these tasks, woken rather than polling."""
    engine = Embedded(processes=1, poll=poll, lease=3 * RARELY)
    return Jobs(db, tasks=tasks, engine=engine, **options)


async def rows(db: Database) -> list[Any]:
    """Return every job, in the order of their ids."""
    async with db.read() as tx:
        return list(await tx.execute(select(jobs.table).order_by(jobs.table.c.id)))


async def state_of(db: Database, id_: str) -> str | None:
    """Return the state of one job."""
    async with db.read() as tx:
        record = await jobs.get(tx, id_)
    return record.state if record else None


def url_for(url: str, drivers: dict[str, str]) -> Any:
    """Return the URL for another driver: `SYNC` or `PLAIN`."""
    parsed = make_url(url)
    return parsed.set(drivername=drivers[parsed.drivername])
