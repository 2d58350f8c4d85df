"""The signs of jobs: tables, backlog, workers and their versions, what died, what is paused."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.console.formats import length, number
from roadworthy.console.signs.of_problems import RECENT, naming_all
from roadworthy.console.signs.sign import Sign
from roadworthy.health import Health
from roadworthy.jobs import Jobs, State, operations
from roadworthy.jobs.table import clock, tables
from roadworthy.jobs.table.moves import in_state

__all__ = ["questions"]

Ask: TypeAlias = Callable[[AsyncConnection], Awaitable[list[Sign]]]

_MOST: Final = 1000
"""Jobs that are counted, at most: what is more reads `1,000+`."""
_LATE: Final = timedelta(minutes=5)
"""A job that has been due for longer asks for a look before a rollout."""
_NAMED: Final = 5


def questions(jobs: Jobs, health: Health | None) -> list[tuple[str, Ask]]:
    """Return what is asked, by what it is about."""
    told = (None if health is None else health.version, jobs.work.version)
    here = {version for version in told if version is not None}

    async def workers(connection: AsyncConnection) -> list[Sign]:
        return _of_workers(await operations.running(connection), here)

    return [
        ("tables of jobs", _tables),
        ("backlog", _backlog),
        ("workers", workers),
        ("jobs that died", _died),
        ("paused", _paused),
    ]


async def _tables(connection: AsyncConnection) -> list[Sign]:
    """Tell which table or column is lacking; where none is, that costs next to nothing."""
    try:
        await connection.execute(naming_all(tables.metadata))
    except SQLAlchemyError:
        await connection.rollback()
        missing = await connection.run_sync(tables.lacking)
        if missing is None:
            raise
        says = f"the database has no {missing}: run the migration of this version first"
        return [Sign("tables of jobs", "stop", says)]
    return [Sign("tables of jobs", "good", "all there")]


async def _backlog(connection: AsyncConnection) -> list[Sign]:
    paused = {pause.name for pause in await operations.paused(connection) if pause.kind == "queue"}
    found = await operations.backlog(connection, most=_MOST)
    signs = [_of_queue(one, is_paused=one.queue in paused) for one in found]
    overdue = await _count(connection, in_state(State.SCHEDULED), _is_overdue())
    if overdue:
        says = f"{number(overdue, _MOST)} are past their time: does any worker run?"
        signs.append(Sign("scheduled jobs", "wait", says, "workers"))
    return signs or [Sign("backlog", "good", "no job waits for a worker", "queues")]


def _of_queue(one: operations.Backlog, *, is_paused: bool) -> Sign:
    jobs = f"{number(one.depth, _MOST)} due, the oldest for {length(one.oldest)}"
    about, query = f"queue {one.queue}", (("queue", one.queue), ("state", "queued"))
    if is_paused:
        return Sign(about, "note", f"{jobs}; it is paused", "jobs", query)
    return Sign(about, "wait" if one.oldest > _LATE else "good", jobs, "jobs", query)


def _of_workers(found: list[operations.WorkerRecord], here: set[str]) -> list[Sign]:
    awake = [worker for worker in found if not worker.silent]
    silent = [worker for worker in found if worker.silent]
    signs = [_versions(awake, here)]
    if silent:
        names = ", ".join(worker.name for worker in silent[:_NAMED])
        says = f"{len(silent)} silent: {names}. They hang, or ended without a word"
        signs.append(Sign("workers", "wait", says, "workers"))
    if awake:
        running = sum(worker.running for worker in awake)
        says = f"{len(awake)} awake, {running} {'job' if running == 1 else 'jobs'} under way"
        signs.append(Sign("workers", "good", says, "workers"))
    elif not silent:
        signs.append(Sign("workers", "wait", "none: nobody runs jobs", "workers"))
    return signs


def _versions(awake: list[operations.WorkerRecord], here: set[str]) -> Sign:
    counts = Counter(worker.version for worker in awake if worker.version is not None)
    known = sorted({*counts, *here})
    if not known:
        return Sign("versions", "note", "nobody says which: Jobs(version=...) would", "workers")
    told = ", ".join(f"{version} ({_workers(counts[version])})" for version in known)
    if len(known) == 1:
        return Sign("versions", "good", f"one: {known[0]}", "workers")
    return Sign("versions", "wait", f"a rollout is under way: {told}", "workers")


def _workers(number: int) -> str:
    if not number:
        return "this process"
    return "1 worker" if number == 1 else f"{number} workers"


async def _died(connection: AsyncConnection) -> list[Sign]:
    jobs = tables.table
    recent = jobs.c.finished_at >= clock.now() - RECENT
    newest = (
        select(jobs.c.task)
        .where(in_state(State.DEAD), recent)
        .order_by(jobs.c.finished_at.desc())
        .limit(_MOST)
        .subquery()
    )
    query = select(newest.c.task, func.count()).group_by(newest.c.task)
    found = sorted(await connection.execute(query), key=lambda row: -row[1])
    if not found:
        return [Sign("jobs that died", "good", "none in the last 10 minutes", "dead")]
    return [
        Sign(
            f"task {task}",
            "wait",
            f"{number(count, _MOST)} died in the last 10 minutes",
            "dead",
            (("task", task),),
        )
        for task, count in found[:_NAMED]
    ]


async def _paused(connection: AsyncConnection) -> list[Sign]:
    return [
        Sign(
            f"{pause.kind} {pause.name}",
            "note",
            f"paused by {pause.by} for {length(clock.now() - pause.since)}",
            "schedules" if pause.kind == "schedule" else "queues",
        )
        for pause in await operations.paused(connection)
    ]


async def _count(connection: AsyncConnection, *which: ColumnElement[bool]) -> int:
    some = select(literal(1)).select_from(tables.table).where(*which).limit(_MOST).subquery()
    return (await connection.execute(select(func.count()).select_from(some))).scalar_one()


def _is_overdue() -> ColumnElement[bool]:
    # Workers look every few seconds; what is later than that, nobody looks for.
    return tables.table.c.run_at < clock.now() - timedelta(minutes=1)
