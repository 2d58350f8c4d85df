"""Now: is it safe to roll out? Each answer with its reason."""

import os
import socket
from typing import Final

from starlette.responses import Response

from roadworthy.console.page import Page
from roadworthy.console.signs import gather, verdict_of
from roadworthy.console.visit import Seen

__all__ = ["PAGE", "show"]


async def show(visit: Seen) -> Response:
    """Show whether all is well; it answers while the database does not."""
    signs = await gather(visit.parts)
    pages = {page.name for page in visit.menu()}
    return visit.page(
        "now.html",
        title="Now",
        verdict=verdict_of(signs),
        signs=signs,
        pages=pages,
        process=f"{socket.gethostname()}, process {os.getpid()}",
    )


PAGE: Final = Page(name="", title="Now", show=show, is_there=lambda parts: True)
"""The first page, for the menu."""
