"""Dead: the jobs that failed for good, by task and error code, and one by one."""

from typing import Final

from starlette.responses import Response

from roadworthy.console import acting
from roadworthy.console.job_filters import Filters
from roadworthy.console.page import Page
from roadworthy.console.pages import jobs
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen
from roadworthy.jobs import State, operations

__all__ = ["PAGE", "show"]

_GROUPS: Final = 100
"""Groups that are shown, those with the last deaths."""
_SAMPLE: Final = 3_000
"""Jobs that are grouped, those that died last."""

_NONE: Final = operations.Causes((), complete=True)


async def show(visit: Seen) -> Response:
    """Show what died, and why."""
    filters = Filters.of(visit.request.query_params, state=State.DEAD)
    narrowed = [value for name, value in filters.typed.items() if name != "state"]
    async with reading(acting.work_of(visit).units) as connection:
        # Who looks at some of them needs no groups.
        causes = _NONE if narrowed else await operations.causes(connection, most=_SAMPLE)
        found, counted = await jobs.search(connection, visit, filters)
    return visit.page(
        "dead.html",
        status=422 if filters.mistakes else 200,
        title="Dead jobs",
        filters=filters,
        narrowed=narrowed,
        groups=causes.groups[:_GROUPS],
        complete=causes.complete,
        hidden=max(0, len(causes.groups) - _GROUPS),
        sample=_SAMPLE,
        found=found,
        counted=counted,
        most=jobs.COUNTED,
    )


PAGE: Final = Page(
    name="dead",
    title="Dead",
    show=show,
    is_there=lambda parts: parts.jobs is not None,
)
"""The page of dead jobs, for the menu."""
