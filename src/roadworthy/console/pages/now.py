"""Now: is it safe to roll out? Each answer with its reason."""

from typing import Final

from starlette.responses import Response

from roadworthy.console.page import Page
from roadworthy.console.visit import Seen

__all__ = ["PAGE"]


async def show(visit: Seen) -> Response:
    """Show whether all is well."""
    return visit.page("now.html", title="Now")


PAGE: Final = Page(name="", title="Now", show=show, is_there=lambda parts: True)
