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
    """The part of `roadworthy.database.Database` that jobs need."""

    @property
    def engine(self) -> AsyncEngine:
        """The engine for writing."""
        ...

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction: commit on leaving normally, roll back on anything else."""
        ...


Lend: TypeAlias = Callable[[AsyncSession], AbstractContextManager[Session]]
"""The type of `Database.lend_to_threads`."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A failed attempt, as `on_failure` and `on_dead` get it."""

    id: str
    task: str
    attempt: int
    attempts: int
    arguments: str
    """The arguments as JSON, which may contain secrets."""
    request_id: str | None
    error_code: str
    error: BaseException | None
    """The exception; None if the worker died, or no process knows the task."""
    again_in: timedelta | None
    """The wait until the next attempt; None if there is none."""


Hook: TypeAlias = Callable[[FailedAttempt], Awaitable[object] | object]
"""A function for `on_failure` and `on_dead` of `Jobs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsContext:
    """The database, tasks, parts and hooks of a `Jobs`."""

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
    """The clock, which tests replace."""
    checkpoint: Callable[[str, Claimed], None] = lambda where, job: None
    """Called where a crash would matter, so that tests can crash there."""

    overrides: dict[type[object], object] = field(default_factory=dict[type[object], object])
    """Parts that tests put in place of others, by the type that tasks ask for."""

    @property
    def queues(self) -> list[str]:
        """Every queue that a task names, and the default one."""
        return sorted({"default", *(task.terms.queue for task in self.tasks.values())})

    def knows(self, task: str, version: int) -> bool:
        """Return whether a job of a task and version can run here."""
        known = self.tasks.get(task)
        return known is not None and version <= known.terms.version

    def find(self, kind: type[K]) -> K:
        """Return the part of this type.

        Raises:
            LookupError: There is no such part; the text has the line of code to add.
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
        TypeError: The value is something else; the text says what to write.
    """
    if (wrong := not_a_database(database, "Jobs")) is not None:
        raise TypeError(wrong)
    return _EngineUnits(database) if isinstance(database, AsyncEngine) else database


def lender(units: Units, task: str) -> Lend:
    """Return the function that lends the session of a transaction to a thread.

    Raises:
        TypeError: The database is a plain engine of SQLAlchemy, which cannot.
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
