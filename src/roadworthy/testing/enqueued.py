"""`enqueued` and `assert_enqueued`: the jobs that a piece of code has enqueued."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from roadworthy.jobs import Call, State, Task, table
from roadworthy.jobs.table.call import JobOptions
from roadworthy.jobs.table.tables import utc, utc_or_none
from roadworthy.jobs.worker.context import Units

__all__ = ["EnqueuedJob", "assert_enqueued", "enqueued"]

Where: TypeAlias = AsyncSession | AsyncConnection | AsyncEngine | Units


@dataclass(frozen=True, slots=True)
class EnqueuedJob:
    """A job as it was enqueued."""

    id: str
    task: str
    arguments: Mapping[str, Any]
    """As the task gets them; JSON values where no task was given to `enqueued`."""
    queue: str
    priority: int
    run_at: datetime
    unique_key: str | None
    """None also once it no longer counts."""
    request_id: str | None
    state: State
    expires_at: datetime | None = None

    def __str__(self) -> str:
        options = [f"queue={self.queue!r}", f"priority={self.priority}", f"run_at={self.run_at}"]
        if self.unique_key is not None:
            options.append(f"unique_key={self.unique_key!r}")
        if self.expires_at is not None:
            options.append(f"expires_at={self.expires_at}")
        return f"{_call_text(self.task, self.arguments)} with {', '.join(options)}; {self.state}"


async def enqueued(where: Where, task: Task[...] | None = None) -> list[EnqueuedJob]:
    """Return the jobs of `task`, or of all, in the order they were enqueued.

        assert [job.arguments for job in await enqueued(tx, remind)] == [{"order_id": "1"}]

    `where` is a session or connection, in whose transaction they are seen before the
    commit, or a database. Whatever has become of them since, they are there.
    """
    query = select(*_COLUMNS).order_by(table.c.id)
    if task is not None:
        query = query.where(table.c.task == task.name)
    async with _reading(where) as session:
        return [_job(row, task) for row in await session.execute(query)]


async def assert_enqueued(where: Where, call: Call) -> EnqueuedJob:
    """Return the job of this task with these arguments and options.

        await assert_enqueued(tx, remind.call(order_id="1"))
        await assert_enqueued(tx, remind.options(queue="mail").call(order_id="1"))

    Raises:
        AssertionError: There is none; the text says what there was instead.
    """
    there = await enqueued(where)
    for job in there:
        if _is(job, call):
            return job
    listed = "".join(f"\n    {job}" for job in there) or " nothing"
    raise AssertionError(f"{_wanted(call)} was not enqueued. There was:{listed}")


_COLUMNS: Final = tuple(
    table.c[name]
    for name in (
        *("id", "task", "arguments", "queue", "priority", "run_at", "unique_key"),
        *("request_id", "state", "expires_at"),
    )
)


@asynccontextmanager
async def _reading(where: Where) -> AsyncGenerator[AsyncSession | AsyncConnection]:
    if isinstance(where, AsyncSession | AsyncConnection):
        yield where
        return
    engine = where if isinstance(where, AsyncEngine) else where.engine
    reader: AsyncEngine = getattr(where, "read_engine", engine)
    async with reader.connect() as connection:
        yield connection


def _job(row: Row[*tuple[Any, ...]], task: Task[...] | None) -> EnqueuedJob:
    load = json.loads if task is None else task.signature.load
    id_, name, arguments, queue, priority, run_at, unique_key, request_id, state, expires_at = row
    return EnqueuedJob(
        id=id_,
        task=name,
        arguments=load(arguments),
        queue=queue,
        priority=priority,
        run_at=utc(run_at),
        unique_key=unique_key,
        request_id=request_id,
        state=State(state),
        expires_at=utc_or_none(expires_at),
    )


def _is(job: EnqueuedJob, call: Call) -> bool:
    same = job.task == call.task.name and job.arguments == json.loads(call.arguments)
    return same and all(getattr(job, name) == value for name, value in _given(call.options).items())


def _given(options: JobOptions) -> dict[str, Any]:
    names = ("queue", "priority", "run_at", "unique_key")
    every = {name: getattr(options, name) for name in names}
    return {name: value for name, value in every.items() if value is not None}


def _wanted(call: Call) -> str:
    options = ", ".join(f"{name}={value!s}" for name, value in _given(call.options).items())
    text = _call_text(call.task.name, json.loads(call.arguments))
    return f"{text} with {options}" if options else text


def _call_text(task: str, arguments: Mapping[str, Any]) -> str:
    return f"{task}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
