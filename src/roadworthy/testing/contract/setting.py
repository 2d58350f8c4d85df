"""`Setting`: how the contract starts an engine, and watches it from outside."""

# ruff: noqa: S101 - these are tests

import asyncio
import inspect
import multiprocessing
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

import pytest
import pytest_asyncio
from sqlalchemy import select

from roadworthy import jobs
from roadworthy.database import Database
from roadworthy.jobs import Call, Engine, JobRecord, State, Task
from roadworthy.testing.contract_tasks import TASKS, contract_jobs, effects, metadata, work

__all__ = ["Log", "Setting", "add", "effects_of", "get", "reach", "until"]

_LOOK: Final = 0.01
_PATIENCE: Final = 30.0


class Log:
    """A file that tasks write to, and the files beside it that they wait for."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def lines(self) -> list[str]:
        """Return what they have written."""
        path = Path(self.path)
        return path.read_text().splitlines() if path.exists() else []

    def allow(self, name: str) -> None:
        """Let go who waits for `name`."""
        Path(f"{self.path}.{name}").touch()

    async def has(self, *lines: str) -> None:
        """Wait until all of these have been written."""
        await until(lambda: set(lines) <= set(self.lines()), f"{lines}, but {self.lines()}")


async def until(condition: Callable[[], Awaitable[bool] | bool], what: str) -> None:
    """Wait until a condition is true.

    Raises:
        AssertionError: It took half a minute.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < end, f"it never came to this: {what}"
        await asyncio.sleep(_LOOK)


class Setting:
    """What a group of the contract's tests stands on.

    A subclass says how to make an engine. It needs the fixture `database_url`: the URL of
    an empty database.
    """

    pytestmark: ClassVar = [pytest.mark.asyncio]
    lease: ClassVar[timedelta] = timedelta(seconds=1)
    """What `make_engine` gives its engines."""

    def make_engine(self, *, at_a_time: int = 20) -> Engine:
        """Return an engine.

        It has the lease of `self.lease`, and a grace of less than a second. It runs
        `at_a_time` coroutines at a time. Before its start it can be pickled.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def working(
        self, database: Database, *, tasks: Iterable[Task[...]] = TASKS, at_a_time: int = 20
    ) -> AsyncGenerator[None]:
        """Run jobs within, and on leaving stop as a worker does on SIGTERM.

        Override it where the jobs run in another process: it opens `contract_jobs`.
        """
        engine = self.make_engine(at_a_time=at_a_time)
        async with contract_jobs(database, engine=engine, tasks=tasks):
            yield

    @contextmanager
    def worker_process(self, url: str) -> Generator[None]:
        """Run jobs in a process of its own within, and kill it on leaving.

        Override it where the jobs run in other processes anyway.
        """
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=work, args=(url, self.make_engine()), daemon=True)
        process.start()
        try:
            yield
        finally:
            process.kill()
            process.join()
            process.close()

    @pytest_asyncio.fixture
    async def db(self, database_url: str) -> AsyncIterator[Database]:
        """Open a database that has the tables."""
        async with Database(database_url) as db:
            async with db.engine.begin() as connection:
                await connection.run_sync(jobs.metadata.create_all)
                await connection.run_sync(metadata.create_all)
            yield db

    @pytest.fixture
    def log(self, tmp_path: Path) -> Log:
        """Return a log that nothing is written in yet."""
        return Log(tmp_path / "log")


async def add(db: Database, call: Call) -> str:
    """Enqueue a job in a transaction of its own, and return its id."""
    async with db.begin() as tx:
        [added] = await jobs.enqueue_many(tx, [call])
    return added.id


async def get(db: Database, id_: str) -> JobRecord:
    """Return a job as it stands."""
    async with db.read() as session:
        record = await jobs.get(session, id_)
    assert record is not None
    return record


async def reach(db: Database, id_: str, state: State | str) -> JobRecord:
    """Wait until a job is in a state."""
    record = await get(db, id_)

    async def reached() -> bool:
        nonlocal record
        record = await get(db, id_)
        return record.state == state

    await until(reached, f"{record.task} is {state}; {record}")
    return record


async def effects_of(db: Database) -> list[str]:
    """Return the effects that were committed."""
    async with db.read() as session:
        return list(await session.scalars(select(effects.c.name)))
