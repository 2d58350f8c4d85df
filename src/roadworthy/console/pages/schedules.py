"""Schedules: when each ran last and runs next; run now, pause and resume."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from roadworthy.console import acting
from roadworthy.console.page import Page
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen
from roadworthy.jobs import operations

__all__ = ["PAGE", "show"]


async def show(visit: Seen) -> Response:
    """Show the schedules."""
    work = acting.work_of(visit)
    async with reading(work.units) as connection:
        found = await operations.scheduled(connection)
    known = {record.task for record in found}
    declared = [name for name, task in work.tasks.items() if task.terms.schedule is not None]
    unseen = sorted(set(declared) - known)
    return visit.page("schedules.html", title="Schedules", schedules=found, unseen=unseen)


async def _run_now(visit: Seen) -> Response:
    """Have a scheduled job enqueued now."""
    form = await visit.form()
    flash = await acting.run_now(visit, form.get("name", "").replace("\0", "")[:200])
    return visit.after("/schedules", flash=flash, back=form.get("back", ""))


def _add_to(routes: APIRouter) -> None:
    routes.post("/schedules/run-now", response_model=None)(_run_now)


PAGE: Final = Page(
    name="schedules",
    title="Schedules",
    show=show,
    add_to=_add_to,
    is_there=lambda parts: parts.jobs is not None,
)
"""The page of schedules, for the menu."""
