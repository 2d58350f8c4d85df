"""Workers: the processes that run jobs, which of them are silent, and what they run."""

from collections import defaultdict
from typing import Final

from starlette.responses import Response

from roadworthy.console import acting
from roadworthy.console.page import Page
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen
from roadworthy.jobs import State, operations
from roadworthy.jobs.operations import JobFilter, JobSummary

__all__ = ["PAGE", "show"]

_RUNNING: Final = 200
"""Running jobs that are shown, in all."""
_SHOWN: Final = 200
"""Workers that are shown, those that started last."""


async def show(visit: Seen) -> Response:
    """Show the workers."""
    async with reading(acting.work_of(visit).units) as connection:
        workers = await operations.running(connection)
        jobs = await operations.find(connection, JobFilter(state=State.RUNNING), limit=_RUNNING)
    of_worker = defaultdict[str | None, list[JobSummary]](list)
    for job in jobs.jobs:
        of_worker[job.worker].append(job)
    known = {worker.name for worker in workers}
    return visit.page(
        "workers.html",
        title="Workers",
        workers=workers[:_SHOWN],
        hidden=max(0, len(workers) - _SHOWN),
        silent=sum(worker.silent for worker in workers),
        versions=sorted({worker.version or "" for worker in workers if not worker.silent}),
        jobs=dict(of_worker),
        orphans=[job for job in jobs.jobs if job.worker not in known],
    )


PAGE: Final = Page(
    name="workers",
    title="Workers",
    show=show,
    is_there=lambda parts: parts.jobs is not None,
)
"""The page of workers, for the menu."""
