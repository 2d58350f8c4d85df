"""One job: where it stands, its attempts, its arguments, and what may be done to it."""

import re
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from roadworthy import jobs
from roadworthy.console import acting
from roadworthy.console.reading import reading
from roadworthy.console.redacting import shown_json, shown_text
from roadworthy.console.visit import Seen, Visit
from roadworthy.jobs import AttemptRecord, JobRecord
from roadworthy.jobs.table.states import TRANSITIONS

__all__ = ["ShownAttempt", "add_to", "show", "ways_of"]

_ID: Final = re.compile(r"[0-9A-Za-z-]{1,36}")


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """An attempt, and what may be shown of its error."""

    record: AttemptRecord
    error: str
    traceback: str


async def show(visit: Seen, id: str) -> Response:  # noqa: A002 - the field's word
    """Show one job."""
    if not _ID.fullmatch(id):
        visit.missing()
    work = acting.work_of(visit)
    async with reading(work.units) as connection:
        record = await jobs.get(connection, id)
        attempts = await jobs.attempts(connection, id)
    if record is None:
        visit.missing()
    redaction, task = visit.options.redaction, work.tasks.get(record.task)
    return visit.page(
        "job.html",
        title=f"Job {record.id}",
        job=record,
        of=task.terms.attempts if task else None,
        knows=task is not None,
        arguments=shown_json(record.arguments, redaction),
        error=shown_text(record.error, redaction),
        attempts=[_shown(visit, each) for each in attempts],
        ways=ways_of(record),
        problems=visit.parts.problem_log is not None,
    )


def _shown(visit: Visit, record: AttemptRecord) -> ShownAttempt:
    redaction = visit.options.redaction
    error, frames = shown_text(record.error, redaction), shown_text(record.traceback, redaction)
    return ShownAttempt(record, error, frames)


def ways_of(job: JobRecord) -> list[acting.Way]:
    """Return what can be done to a job in its state."""
    can = {
        "retry": job.state in TRANSITIONS["retry"].source,
        "cancel": job.state in {*TRANSITIONS["cancel"].source, *TRANSITIONS["stop"].source}
        and not job.cancel_requested,
        "dismiss": job.state in TRANSITIONS["dismiss"].source,
    }
    return [way for way in acting.WAYS if can[way]]


async def _change(visit: Seen, id: str, way: str) -> Response:  # noqa: A002
    """Change one job."""
    if not acting.is_way(way) or not _ID.fullmatch(id):
        visit.missing()
    form = await visit.form()
    flash = await acting.change_one(visit, way, id)
    at = form.get("at", "")
    path = f"/{at}" if at in {"jobs", "dead"} else f"/jobs/{id}"
    return visit.after(path, flash=flash, back=form.get("back", ""))


def add_to(routes: APIRouter) -> None:
    """Add the page of one job, and what changes it."""
    routes.get("/jobs/{id}", response_model=None)(show)
    routes.post("/jobs/{id}/{way}", response_model=None)(_change)
