"""`JobsContext`: the database, tasks, parts and hooks, for engines."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from roadworthy._sqlalchemy.transactions import not_a_database
from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.task import Task

__all__ = ["FailedAttempt", "Hook", "JobsContext", "Units", "lender", "units_of"]

K = TypeVar("K")

log = logging.getLogger("roadworthy.jobs")


@runtime_checkable
class Units(Protocol):
    """What jobs need of a database; `roadworthy.database.Database` has it."""

    @property
    def engine(self) -> AsyncEngine:
        """The engine for writing."""
        ...

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction: commit on leaving normally, roll back on anything else."""
        ...


Lend: TypeAlias = Callable[[AsyncSession], AbstractContextManager[Session]]
"""What `Database.lend_to_threads` is."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed: what `on_failure` and `on_dead` are given."""

    id: str
    task: str
    attempt: int
    attempts: int
    arguments: str
    """JSON. It may hold what nobody else should see."""
    request_id: str | None
    error_code: str
    error: BaseException | None
    """None where there was no exception: the worker died, or nobody knows the task."""
    again_in: timedelta | None
    """The wait until the next attempt; None where there is none."""


Hook: TypeAlias = Callable[[FailedAttempt], Awaitable[object] | object]
"""What `on_failure` and `on_dead` of `Jobs` take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsContext:
    """The database, the tasks, the parts they may ask for, and who hears of failures."""

    units: Units
    tasks: Mapping[str, Task[...]]
    parts: tuple[object, ...]
    on_failure: Hook | None
    on_dead: Hook | None
    keep: timedelta
    keep_dead: timedelta
    version: str | None = None
    """The version of the application, for operators."""
    clock: Callable[[], datetime] | None = None
    """What the time is taken from, in tests."""
    checkpoint: Callable[[str, Claimed], None] = lambda where, job: None
    """Called where a crash would matter, so that tests can have one there."""

    overrides: dict[type[object], object] = field(default_factory=dict[type[object], object])
    """What tests have tasks find instead, by the type that they ask for."""

    @property
    def queues(self) -> list[str]:
        """Every queue that a task names, and the default one."""
        return sorted({"default", *(task.terms.queue for task in self.tasks.values())})

    def knows(self, task: str, version: int) -> bool:
        """Return whether a job of this task and version can be run here."""
        known = self.tasks.get(task)
        return known is not None and version <= known.terms.version

    def find(self, kind: type[K]) -> K:
        """Return the part of this type.

        Raises:
            LookupError: There is none; its text has the line of code to add.
        """
        if kind in self.overrides:
            return cast("K", self.overrides[kind])
        for part in (self.units, *self.parts):
            if isinstance(part, kind):
                return part
        raise LookupError(
            f"No {kind.__name__} was given to Jobs. Where it is made, add it: "
            f"Jobs(db, tasks=[...], parts=[{kind.__name__}(...)])."
        )


def units_of(database: Units | AsyncEngine) -> Units:
    """Return the database itself, or units on a plain engine of SQLAlchemy.

    Raises:
        TypeError: It is something else; the text says what to write.
    """
    if (wrong := not_a_database(database, "Jobs")) is not None:
        raise TypeError(wrong)
    return _EngineUnits(database) if isinstance(database, AsyncEngine) else database


def lender(units: Units, task: str) -> Lend:
    """Return what lends the session behind a transaction to a thread.

    Raises:
        TypeError: The database cannot: it is a plain engine of SQLAlchemy.
    """
    lend: Lend | None = getattr(units, "lend_to_threads", None)
    if lend is None:
        raise TypeError(
            f"{task} takes a Session, and so needs Jobs(Database('...'), ...): an AsyncEngine "
            "has transactions for `async def` tasks alone."
        )
    return lend


class _EngineUnits:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._session = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        async with self._session.begin() as session:
            yield session
