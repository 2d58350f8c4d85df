"""Events: who listens in this process, how late they are told, and what the table keeps."""

import os
import socket
from typing import Final

from starlette.responses import Response

from roadworthy import events
from roadworthy.console.page import Page
from roadworthy.console.reading import reading
from roadworthy.console.visit import Seen

__all__ = ["PAGE", "show"]

_LATE_SECONDS: Final = 5.0
"""How late an event may be told: a process looks every second, where nothing wakes it."""


async def show(visit: Seen) -> Response:
    """Show how many listen, and what waits."""
    part = visit.parts.events or visit.missing()
    async with reading(part.database) as connection:
        kept = await events.kept(connection)
    state = part.state
    return visit.page(
        "events.html",
        title="Events",
        state=state,
        kept=kept,
        late=state.lag is not None and state.lag > _LATE_SECONDS,
        process=f"{socket.gethostname()}, process {os.getpid()}",
    )


PAGE: Final = Page(
    name="events", title="Events", show=show, is_there=lambda parts: parts.events is not None
)
"""The page of events, for the menu."""
