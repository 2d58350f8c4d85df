"""`console`: the router of the pages, for `app.include_router(..., prefix="/ops")`."""

from collections.abc import Iterable
from typing import Final

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from roadworthy.console.access import Access, nobody
from roadworthy.console.options import Options
from roadworthy.console.pages import PAGES
from roadworthy.console.route import route_class
from roadworthy.console.signing_in import add_signing_in, end_session
from roadworthy.console.static_files import static_file
from roadworthy.console.token import Token
from roadworthy.console.visit import Seen
from roadworthy.observability import Redaction
from roadworthy.problems import NotFound

__all__ = ["console"]

_SEE_OTHER: Final = 303


def console(
    *,
    access: Access | None = None,
    title: str = "Operations",
    redact: Iterable[str] = (),
) -> APIRouter:
    """Return the pages of the operations console, closed to all whom `access` does not name.

        app.include_router(console(access=Token(settings.ops_token)), prefix="/ops")

    Without `access`, or where it returns None, every path below the prefix is answered 404,
    as if nothing were there. Pages show the parts that `lifespan(...)` has opened.

    Args:
        access: Returns who sent a request: `Token(...)`, or a function of your own.
        title: What stands above the menu.
        redact: Names whose values pages never show, beside passwords, tokens and the like.

    Raises:
        TypeError: `access` cannot be called.
    """
    if access is not None and not callable(access):
        raise TypeError(
            f"access is {access!r}, and has to be a function of the request that returns a "
            "Viewer or None, or Token('...')."
        )
    options = Options(access or nobody, title, Redaction(redact), PAGES)
    routes = APIRouter(
        include_in_schema=False, redirect_slashes=False, route_class=route_class(options)
    )
    _add_pages(routes, options)
    if isinstance(access, Token) and access.signs_in:
        add_signing_in(routes, access)
    _add_nothing(routes)
    return routes


def _add_pages(routes: APIRouter, options: Options) -> None:
    """Add what answers viewers only: every page, and the files they load."""
    for page in options.pages:
        path = f"/{page.name}" if page.name else ""
        routes.get(path, response_model=None)(page.show)
        page.add_to(routes)
    routes.get("/", response_model=None)(_to_first_page)
    routes.get("/static/{name}", response_model=None)(_static)
    routes.post("/sign-out", response_model=None)(_sign_out)


def _add_nothing(routes: APIRouter) -> None:
    """Answer every other path and method with 404: that a path takes others is not told."""
    first = Route("/", _Nothing(), include_in_schema=False)
    first.path = ""  # which its constructor refuses, as it knows nothing of the prefix to come
    routes.routes += [first, Route("/{rest:path}", _Nothing(), include_in_schema=False)]


async def _to_first_page(visit: Seen) -> Response:
    """Lead on from the path with a slash at its end."""
    return RedirectResponse(visit.base, status_code=_SEE_OTHER)


async def _static(name: str) -> Response:
    """Answer with a file that pages load."""
    return static_file(name)


async def _sign_out(visit: Seen) -> Response:
    """End the session of a `Token`."""
    response = RedirectResponse(visit.base, status_code=_SEE_OTHER)
    end_session(response, visit.base)
    return response


class _Nothing:
    """An ASGI application, which a route takes for every method there is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotFound
