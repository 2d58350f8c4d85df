"""Checks: how each dependency stands, why, how fast it answers, and how it was before."""

import os
import socket
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from roadworthy.console.charts import sparkline
from roadworthy.console.formats import length
from roadworthy.console.page import Page
from roadworthy.console.visit import Seen
from roadworthy.health.check_state import CheckState

__all__ = ["PAGE", "show"]


async def show(visit: Seen) -> Response:
    """Show the checks of this process; nothing is asked for that."""
    health = visit.parts.health or visit.missing()
    states = sorted(health.check_states, key=lambda state: _ORDER.index(state.status))
    return visit.page(
        "checks.html",
        title="Checks",
        checks=[(state, _chart(state)) for state in states],
        draining=health.draining,
        alive=health.alive,
        version=health.version,
        process=f"{socket.gethostname()}, process {os.getpid()}",
    )


_ORDER: Final = ("fail", "warn", "pass")


def _chart(state: CheckState) -> Markup:
    results = list(state.results)
    if not results:
        return Markup()
    slowest = length(max(result.seconds for result in results))
    failed = sum(result.status == "fail" for result in results)
    title = f"The last {len(results)} runs took {slowest} at most; {failed} failed"
    return sparkline(
        [result.seconds for result in results],
        title=title,
        bad=[result.status == "fail" for result in results],
    )


PAGE: Final = Page(
    name="checks", title="Checks", show=show, is_there=lambda parts: parts.health is not None
)
"""The page of checks, for the menu."""
