"""Change jobs, queues, tasks and schedules for a viewer, and tell what was done."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, TypeGuard, cast

from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import jobs
from roadworthy.console.flash import Flash
from roadworthy.console.visit import Visit
from roadworthy.jobs import JobsContext, operations
from roadworthy.jobs.operations import JobFilter
from roadworthy.jobs.table.states import TRANSITIONS

__all__ = ["WAYS", "Way", "change_all", "change_one", "is_way", "pause", "run_now", "work_of"]

Way: TypeAlias = Literal["retry", "cancel", "dismiss"]
"""What is done to jobs."""
WAYS: Final[tuple[Way, ...]] = ("retry", "cancel", "dismiss")
"""Every way, in the order of buttons."""

_TOGETHER: Final = timedelta(seconds=5)
"""How long a request changes jobs: many more are changed by asking again, or by the command."""
_ONE: Final[dict[Way, tuple[Callable[..., Awaitable[bool]], str, str]]] = {
    "retry": (operations.retry, "is queued again", "is not dead, cancelled or parked any more"),
    "cancel": (operations.cancel, "is cancelled, or told to stop", "has ended already"),
    "dismiss": (operations.dismiss, "is dismissed", "is not dead or parked any more"),
}
_MANY: Final[dict[Way, tuple[Callable[..., Awaitable[operations.Changed]], str]]] = {
    "retry": (operations.retry_all, "queued again"),
    "cancel": (operations.cancel_all, "cancelled, or told to stop"),
    "dismiss": (operations.dismiss_all, "dismissed"),
}


def is_way(text: str) -> TypeGuard[Way]:
    """Return whether a part of a path names something that is done to jobs."""
    return text in WAYS


def work_of(visit: Visit) -> JobsContext:
    """Return the jobs of the service.

    Raises:
        NotFound: 404: it has none.
    """
    if visit.parts.jobs is None:
        visit.missing()
    return visit.parts.jobs.work


async def change_one(visit: Visit, way: Way, id_: str) -> Flash:
    """Retry, cancel or dismiss one job, if the viewer may."""
    visit.require(way)
    change, done, refusal = _ONE[way]
    async with work_of(visit).units.begin() as tx:
        if await change(tx, id_, by=visit.viewer.name):
            return Flash(f"Job {id_} {done}.")
        why = await _why_not(tx, way, id_) or f"it {refusal}"
    return Flash(f"Nothing was changed of job {id_}: {why}.", good=False)


async def _why_not(tx: AsyncSession, way: Way, id_: str) -> str:
    record = await jobs.get(tx, id_)
    if record is None:
        return "there is none any more"
    if way != "retry" or record.state not in TRANSITIONS["retry"].source:
        return ""
    holder = await jobs.key_holder(tx, id_)
    return "" if holder in {None, id_} else f"job {holder} has its unique key now"


async def change_all(visit: Visit, way: Way, meant: JobFilter) -> Flash:
    """Retry, cancel or dismiss all jobs that are meant, for some seconds; tell of the rest."""
    visit.require(way)
    change, done = _MANY[way]
    changed = await change(work_of(visit).units, meant, by=visit.viewer.name, within=_TOGETHER)
    told = [f"{changed.done:,} jobs are {done}." if changed.done != 1 else f"1 job is {done}."]
    if changed.kept:
        told.append(f"{changed.kept:,} were kept: others have their keys, or they moved on.")
    if changed.more:
        told.append(
            f"There may be more: do it again, or type roadworthy jobs {way}-all, which does all."
        )
    return Flash(" ".join(told), good=bool(changed.done))


async def pause(visit: Visit, kind: str, name: str, *, on: bool) -> Flash:
    """Pause or resume a queue, a task or a schedule."""
    visit.require("pause")
    change: Any = operations.pause if on else operations.resume
    async with work_of(visit).units.begin() as tx:
        try:
            done = await change(tx, cast("operations.Pausable", kind), name, by=visit.viewer.name)
        except ValueError as error:
            return Flash(str(error), good=False)
    if on:
        return Flash(f"The {kind} {name} {'is paused' if done else 'was paused already'}.")
    return Flash(f"The {kind} {name} {'goes on' if done else 'was not paused'}.", good=done)


async def run_now(visit: Visit, task: str) -> Flash:
    """Have the job of a scheduled task enqueued now."""
    visit.require("run_now")
    async with work_of(visit).units.begin() as tx:
        found = await operations.run_now(tx, task, by=visit.viewer.name)
    if found:
        return Flash(f"A worker enqueues {task} as soon as it hears of it.")
    return Flash(f"There is no schedule of {task} any more.", good=False)
