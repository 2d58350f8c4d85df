"""The route class of the console: who is not let in, is answered as if nothing were there.

Every route of the console is one of these, its assets too: the check cannot be forgotten.
"""

from typing import Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from roadworthy import _fastapi
from roadworthy.console.access import viewer_of
from roadworthy.console.errors import CrossSiteRequest
from roadworthy.console.options import Options
from roadworthy.console.parts import Parts
from roadworthy.console.places import base_of
from roadworthy.console.same_origin import is_same_origin, reads_from_elsewhere
from roadworthy.console.security import secure
from roadworthy.console.strangers import way_in
from roadworthy.console.visit import KEY, Visit
from roadworthy.problems import NotFound, Problem, ServiceUnavailable
from roadworthy.problems.answer import handle as answer_in_the_contract
from roadworthy.problems.answer import log_failure

__all__ = ["route_class"]

_SAFE: Final = frozenset({"GET", "HEAD"})
_CRASHED: Final = 500
_INVALID: Final = 422


def route_class(options: Options) -> type[APIRoute]:
    """Return the class of the routes of one console."""

    def around(inner: _fastapi.Handler, template: str) -> _fastapi.Handler:
        async def handle(request: Request) -> Response:
            base = base_of(request.scope, template)
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
        _check_origin(request)
        return await inner(request)
    except Exception as error:  # answered here, so that errors have the headers of pages, too
        return await _refusal(visit, error)


def _check_origin(request: Request) -> None:
    headers = request.headers
    is_safe = request.method in _SAFE
    if reads_from_elsewhere(headers) if is_safe else not is_same_origin(headers):
        raise CrossSiteRequest


async def _refusal(visit: Visit, error: Exception) -> Response:
    """Return a problem of the contract, or to a browser a page that says it in words."""
    if isinstance(error, SQLAlchemyError | TimeoutError):
        sentence = f"The database cannot be read: {type(error).__name__}."
        error = ServiceUnavailable()
    else:
        sentence = ""
    if not _wants_html(visit.request):
        return await answer_in_the_contract(visit.request, error)
    if isinstance(error, RequestValidationError):
        wrong = [f"{e['loc'][-1]}: {e['msg']}" for e in error.errors()]
        return _page(visit, _INVALID, "Not understood", wrong, "VALIDATION_FAILED")
    if isinstance(error, HTTPException):
        title = str(getattr(error, "title", "")) or "Not possible"
        code = error.code if isinstance(error, Problem) else ""
        return _page(visit, error.status_code, title, [sentence or str(error.detail)], code)
    log_failure(visit.request.scope, error)
    sentence = f"This page failed: {type(error).__name__}. The log has the cause."
    return _page(visit, _CRASHED, "A bug", [sentence], "INTERNAL_ERROR")


def _page(visit: Visit, status: int, title: str, sentences: list[str], code: str) -> Response:
    page = visit.page("error.html", status=status, title=title, sentences=sentences)
    if code:
        page.headers["X-Error-Code"] = code
    return page


def _wants_html(request: Request) -> bool:
    """Return whether a browser asks, which shows a page to somebody."""
    return "text/html" in request.headers.get("accept", "")
