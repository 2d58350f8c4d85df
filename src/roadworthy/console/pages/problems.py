"""Problems: what clients were told went wrong, by code and route, over time, and by request."""

from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from roadworthy import idempotency, problem_log
from roadworthy.console.page import Page
from roadworthy.console.parts import Parts
from roadworthy.console.quarters import WINDOWS, draw, window_of
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen, Visit
from roadworthy.jobs import operations
from roadworthy.problem_log import Kind, ProblemFilter, ProblemLog

__all__ = ["PAGE", "of_request", "one", "show"]

T = TypeVar("T")
Text = Annotated[str, Query(max_length=200)]

_ROWS: Final = 50
_KINDS: Final = 20
_JOBS: Final = 50
_CLASSES: Final = {"4": 4, "5": 5}


@dataclass(frozen=True, slots=True)
class _Kind:
    """How many problems there were of one code, status and route."""

    code: str
    status: int
    route: str
    problems: int


async def show(
    visit: Seen,
    *,
    code: Text = "",
    route: Text = "",
    status: Text = "",
    caller: Text = "",
    since: Text = "",
    before: Text = "",
) -> Response:
    """Show the problems of a filter, and how many there were."""
    word, window = window_of(since)
    which = ProblemFilter(
        code=code or None,
        route=route or None,
        status_class=_CLASSES.get(status),
        caller=caller or None,
        since=datetime.now(UTC) - window,
    )
    async with reading(_log(visit).database) as connection:
        codes = (code,) if code else ()
        meant: dict[str, Any] = {"since": window, "codes": codes, "route": route or None}
        quarters = await problem_log.by_quarter(connection, **meant)
        kinds = await problem_log.by_kind(connection, **meant)
        found = await problem_log.browse(connection, which, limit=_ROWS, before=before or None)
    if (only := which.status_class) is not None:
        quarters = [one for one in quarters if one[1] == only]
        kinds = [one for one in kinds if one[0].status // 100 == only]
    return visit.page(
        "problems.html",
        title="Problems",
        found=found,
        chart=draw(quarters, window, title="Problems over time"),
        kinds=_without_reasons(kinds)[:_KINDS],
        total=sum(number for _, _, number in quarters),
        chosen={"code": code, "route": route, "status": status, "caller": caller, "since": word},
        windows=list(WINDOWS),
        before=before,
    )


async def one(visit: Seen, problem_id: str) -> Response:
    """Show one problem."""
    async with reading(_log(visit).database) as connection:
        problem = await problem_log.get(connection, problem_id)
    if problem is None:
        visit.missing()
    return visit.page("problem.html", title=problem.code, problem=problem)


async def of_request(
    visit: Seen,
    id: Annotated[str, Query(max_length=128)] = "",  # noqa: A002 - the form's word
) -> Response:
    """Show everything that is kept with a request id."""
    request_id, log = id.strip(), _log(visit)
    found: dict[str, Any] = {"problems": [], "answers": [], "jobs": None}
    if request_id:
        async with reading(log.database) as connection:
            found["problems"] = await problem_log.of_request(connection, request_id)
            answers = idempotency.of_request(connection, request_id)
            found["answers"] = await _if_there(connection, answers)
        found["jobs"] = await _jobs(visit.parts, request_id)
    return visit.page("request.html", title="A request", request_id=request_id, **found)


async def _jobs(parts: Parts, request_id: str) -> Any:
    if parts.jobs is None:
        return None
    async with reading(parts.jobs.work.units) as connection:
        which = operations.JobFilter(request_id=request_id)
        return (await operations.find(connection, which, limit=_JOBS)).jobs


async def _if_there(connection: AsyncConnection, asked: Awaitable[T]) -> T | None:
    """Return what was asked of a table that a service need not have, or None."""
    try:
        return await asked
    except SQLAlchemyError:
        await connection.rollback()
        return None


def _without_reasons(counted: Iterable[tuple[Kind, int]]) -> list[_Kind]:
    sums: Counter[tuple[str, int, str]] = Counter()
    for kind, number in counted:
        sums[kind.code, kind.status, kind.route] += number
    return [_Kind(*kind, problems=number) for kind, number in sums.most_common()]


def _log(visit: Visit) -> ProblemLog:
    return visit.parts.problem_log or visit.missing()


def _add(routes: APIRouter) -> None:
    routes.get("/problems/request", response_model=None)(of_request)
    routes.get("/problems/{problem_id}", response_model=None)(one)


PAGE: Final = Page(
    name="problems",
    title="Problems",
    show=show,
    add_to=_add,
    is_there=lambda parts: parts.problem_log is not None,
)
"""The page of problems, for the menu."""
