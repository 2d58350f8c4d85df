"""Jobs: the list with its filters, and what is done to one job, or to all that match."""

from datetime import timedelta
from typing import Final

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from roadworthy.console import acting
from roadworthy.console.job_filters import STATES, Filters
from roadworthy.console.page import Page
from roadworthy.console.pages import job
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen, Visit
from roadworthy.jobs import operations
from roadworthy.jobs.operations import Counted, Found

__all__ = ["COUNTED", "LIMIT", "PAGE", "search", "show"]

LIMIT: Final = 50
"""Jobs on a page."""
COUNTED: Final = 10_000
"""Jobs that match and are counted, at most."""
_LOOKING: Final = timedelta(milliseconds=25)
"""How long jobs are looked for, and how long they are counted."""
_NOTHING: Final = Found((), None, None)


async def show(visit: Seen) -> Response:
    """Show the jobs that match, the newest first."""
    filters = Filters.of(visit.request.query_params)
    async with reading(acting.work_of(visit).units) as connection:
        found, counted = await search(connection, visit, filters)
    return visit.page(
        "jobs.html",
        status=422 if filters.mistakes else 200,
        title="Jobs",
        filters=filters,
        states=STATES,
        tasks=sorted(acting.work_of(visit).tasks),
        queues=acting.work_of(visit).queues,
        found=found,
        counted=counted,
        most=COUNTED,
    )


async def search(
    connection: AsyncConnection, visit: Visit, filters: Filters
) -> tuple[Found, Counted]:
    """Return a page of the jobs that match, and how many there are."""
    if filters.mistakes:
        return _NOTHING, Counted(0, exact=True)
    older = visit.request.query_params.get("older", "")[:36].replace("\0", "") or None
    meant = filters.meant
    found = await operations.find(connection, meant, limit=LIMIT, before=older, within=_LOOKING)
    if older is None and len(found.jobs) < LIMIT:
        return found, Counted(len(found.jobs), exact=found.before is None)
    counted = await operations.count_up_to(connection, meant, most=COUNTED, within=_LOOKING)
    return found, counted


async def _change(visit: Seen, way: str) -> Response:
    """Change all jobs that match."""
    if not acting.is_way(way):
        visit.missing()
    form = await visit.form()
    filters = Filters.of(form)
    if filters.mistakes or not filters.typed:  # all jobs there are, by one click: by no form
        visit.missing()
    flash = await acting.change_all(visit, way, filters.meant)
    at = "/dead" if form.get("at") == "dead" else "/jobs"
    return visit.after(at, flash=flash, back=form.get("back", ""))


def _add_to(routes: APIRouter) -> None:
    routes.post("/jobs/all/{way}", response_model=None)(_change)
    job.add_to(routes)


PAGE: Final = Page(
    name="jobs",
    title="Jobs",
    show=show,
    add_to=_add_to,
    is_there=lambda parts: parts.jobs is not None,
)
"""The page of jobs, for the menu."""
