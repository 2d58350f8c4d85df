"""The route class of the console: who is not let in, is answered as if nothing were there.

Every route of the console is one of these, its assets too: the check cannot be forgotten.
"""

from typing import Final

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from roadworthy import _fastapi
from roadworthy.console.access import viewer_of
from roadworthy.console.errors import CrossSiteRequest
from roadworthy.console.options import Options
from roadworthy.console.parts import Parts
from roadworthy.console.same_origin import is_same_origin
from roadworthy.console.security import secure
from roadworthy.console.strangers import way_in
from roadworthy.console.visit import KEY, Visit
from roadworthy.problems import NotFound, ServiceUnavailable

__all__ = ["route_class"]

_SAFE: Final = frozenset({"GET", "HEAD"})


def route_class(options: Options, home: str) -> type[APIRoute]:
    """Return the class of the routes of one console.

    Args:
        options: What the console was given.
        home: The name of the route of its first page.
    """

    def around(inner: _fastapi.Handler) -> _fastapi.Handler:
        async def handle(request: Request) -> Response:
            base = request.url_for(home).path
            return secure(await _answer(request, inner, options, base))

        return handle

    return _fastapi.route_class(around)


async def _answer(
    request: Request, inner: _fastapi.Handler, options: Options, base: str
) -> Response:
    viewer = await viewer_of(options.access, request)
    if viewer is None:
        stranger = way_in(request, options.access, base)
        if stranger is None:
            raise NotFound
        return stranger
    visit = Visit(request, viewer, options, base, Parts.of(request))
    request.scope[KEY] = visit
    try:
        if request.method not in _SAFE and not is_same_origin(request.headers):
            raise CrossSiteRequest
        return await inner(request)
    except (HTTPException, RequestValidationError, SQLAlchemyError, TimeoutError) as error:
        if not wants_html(request):
            raise
        return _error_page(visit, error)


def _error_page(visit: Visit, error: Exception) -> Response:
    """Return a page that says in words what a problem says in JSON."""
    if isinstance(error, RequestValidationError):
        wrong = [f"{e['loc'][-1]}: {e['msg']}" for e in error.errors()]
        return visit.page("error.html", status=422, title="Not understood", sentences=wrong)
    if not isinstance(error, HTTPException):
        failed = ServiceUnavailable()
        sentences = [f"The database cannot be read: {type(error).__name__}."]
        return visit.page(
            "error.html", status=failed.status, title=failed.title, sentences=sentences
        )
    title = str(getattr(error, "title", "")) or "Not possible"
    return visit.page(
        "error.html", status=error.status_code, title=title, sentences=[str(error.detail)]
    )


def wants_html(request: Request) -> bool:
    """Return whether a browser asks, which shows a page to somebody."""
    return "text/html" in request.headers.get("accept", "")
