"""Writes: what writers were refused by conditions, conflicts and sizes; and replays."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from roadworthy import problem_log
from roadworthy.console.page import Page
from roadworthy.console.parts import Parts
from roadworthy.console.quarters import WINDOWS, draw, window_of
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen
from roadworthy.problem_log import Kind

__all__ = ["PAGE", "show"]

STATUSES: Final = (409, 412, 413, 428)
_REPLAYS: Final = "roadworthy_idempotency_replays"
_ROWS: Final = 30


@dataclass(frozen=True, slots=True)
class _Route:
    """What writers of one route were refused, by status."""

    route: str
    by_status: dict[int, int]
    codes: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_status.values())


async def show(visit: Seen, *, since: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Show the refusals by route, and the replays that this server has answered."""
    log = visit.parts.problem_log or visit.missing()
    word, window = window_of(since)
    async with reading(log.database) as connection:
        kinds = await problem_log.by_kind(connection, since=window, statuses=STATUSES)
        quarters = await problem_log.by_quarter(connection, since=window, statuses=STATUSES)
    replays, failed = await _replays(visit.parts)
    return visit.page(
        "writes.html",
        title="Writes",
        routes=_by_route(kinds)[:_ROWS],
        statuses=STATUSES,
        words=_WORDS,
        chart=draw(quarters, window, title="Refused writes"),
        total=sum(number for _, _, number in quarters),
        replays=replays,
        failed=failed,
        since=word,
        windows=list(WINDOWS),
    )


_WORDS: Final = {
    409: "conflict",
    412: "condition not met",
    413: "too large",
    428: "condition missing",
}


async def _replays(parts: Parts) -> tuple[list[tuple[str, int]] | None, str]:
    """Return the replays by route, or why nobody knows."""
    if parts.telemetry is None:
        return None, "No Telemetry part counts them."
    try:
        found = await parts.telemetry.totals(_REPLAYS)
    except OSError:
        return None, "A worker that hangs keeps its count to itself."
    except RuntimeError:
        return None, "Telemetry(metrics=False) counts nothing."
    sums: Counter[str] = Counter()
    for labels, number in found.items():
        told = dict(labels)
        route = told.get("http_route", "others")
        sums[f"{told.get('http_request_method', '')} {route}".strip()] += round(number)
    return sums.most_common(_ROWS), ""


def _by_route(counted: Iterable[tuple[Kind, int]]) -> list[_Route]:
    statuses: dict[str, Counter[int]] = {}
    codes: dict[str, Counter[str]] = {}
    for kind, number in counted:
        statuses.setdefault(kind.route, Counter())[kind.status] += number
        codes.setdefault(kind.route, Counter())[kind.code] += number
    found = [
        _Route(route, dict(by_status), tuple(codes[route].most_common()))
        for route, by_status in statuses.items()
    ]
    return sorted(found, key=lambda one: -one.total)


PAGE: Final = Page(
    name="writes",
    title="Writes",
    show=show,
    is_there=lambda parts: parts.problem_log is not None,
)
"""The page of writes, for the menu."""
