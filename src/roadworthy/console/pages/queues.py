"""Queues: what waits in each, how fast jobs end, what is paused and by whom."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from roadworthy.console import acting
from roadworthy.console.charts import Bar, bars
from roadworthy.console.page import Page
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen
from roadworthy.jobs import operations
from roadworthy.jobs.operations import Backlog, Minute, Pause

__all__ = ["PAGE", "QueueRow", "show"]

_MOST: Final = 10_000
"""Jobs of a queue that are counted."""
_ACTIONS: Final = 20
_TICK: Final = 10
"""Minutes between two times below the chart."""
_PLACES: Final = frozenset({"queues", "schedules"})


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue as the page shows it."""

    name: str
    depth: int
    oldest: timedelta | None
    per_minute: float
    pause: Pause | None


async def show(visit: Seen) -> Response:
    """Show the queues."""
    work = acting.work_of(visit)
    async with reading(work.units) as connection:
        backlog = await operations.backlog(connection, most=_MOST)
        pauses = await operations.paused(connection)
        rates = await operations.by_queue(connection)
        minutes = await operations.by_minute(connection)
        actions = await operations.recent(connection, limit=_ACTIONS)
    return visit.page(
        "queues.html",
        title="Queues",
        queues=_rows(backlog, pauses, rates, work.queues),
        tasks=_tasks(pauses, list(work.tasks)),
        chart=_chart(minutes),
        ended=sum(minute.jobs or 0 for minute in minutes),
        minutes=sum(minute.jobs is not None for minute in minutes),
        actions=actions,
        most=_MOST,
    )


def _rows(
    backlog: list[Backlog], pauses: list[Pause], rates: dict[str, float], known: list[str]
) -> list[QueueRow]:
    waiting = {each.queue: each for each in backlog}
    paused = {each.name: each for each in pauses if each.kind == "queue"}
    names = sorted({*waiting, *paused, *rates, *known})
    return [_row(name, waiting.get(name), rates.get(name, 0.0), paused.get(name)) for name in names]


def _row(name: str, waits: Backlog | None, rate: float, pause: Pause | None) -> QueueRow:
    if waits is None:
        return QueueRow(name, 0, None, rate, pause)
    return QueueRow(name, waits.depth, waits.oldest, rate, pause)


def _tasks(pauses: list[Pause], known: list[str]) -> list[tuple[str, Pause | None]]:
    """Return the tasks, those that are paused first."""
    paused = {each.name: each for each in pauses if each.kind == "task"}
    return [*sorted(paused.items()), *((name, None) for name in sorted({*known} - {*paused}))]


def _chart(minutes: list[Minute]) -> Markup:
    counted = [minute for minute in minutes if minute.jobs is not None]
    total = sum(minute.jobs or 0 for minute in counted)
    title = f"Jobs that ended in each minute of the last hour: {total:,} in {len(counted)} minutes"
    data = [Bar(_told(minute), (("", minute.jobs or 0),)) for minute in minutes]
    places = range(0, len(minutes), _TICK)
    return bars(data, title=title, ticks=[(n, f"{minutes[n].begins_at:%H:%M}") for n in places])


def _told(minute: Minute) -> str:
    jobs = "too many to count" if minute.jobs is None else f"{minute.jobs:,} jobs"
    return f"{minute.begins_at:%H:%M} UTC: {jobs}"


async def _pause(visit: Seen, do: str) -> Response:
    """Pause or resume a queue, a task or a schedule."""
    if do not in {"pause", "resume"}:
        visit.missing()
    form = await visit.form()
    name = form.get("name", "").replace("\0", "")
    flash = await acting.pause(visit, form.get("kind", ""), name, on=do == "pause")
    at = form.get("at", "")
    return visit.after(
        f"/{at if at in _PLACES else 'queues'}", flash=flash, back=form.get("back", "")
    )


def _add_to(routes: APIRouter) -> None:
    routes.post("/pauses/{do}", response_model=None)(_pause)


PAGE: Final = Page(
    name="queues",
    title="Queues",
    show=show,
    add_to=_add_to,
    is_there=lambda parts: parts.jobs is not None,
)
"""The page of queues, for the menu."""
