"""The form for a token, and the way out: the only pages that need no session."""

import math
from functools import partial
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from roadworthy.console.errors import CrossSiteRequest
from roadworthy.console.forms import fields_of
from roadworthy.console.places import base_of
from roadworthy.console.rendering import template
from roadworthy.console.same_origin import is_same_origin
from roadworthy.console.security import secure
from roadworthy.console.static_files import static_file
from roadworthy.console.token import COOKIE, Token

__all__ = ["add_signing_in", "end_session", "give_session", "plain_page"]

_SEE_OTHER: Final = 303
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429


def add_signing_in(routes: APIRouter, access: Token) -> None:
    """Add the form, its style sheet, and what takes it."""

    async def form(request: Request) -> Response:
        """Show the form."""
        return plain_page(_base(request), "sign-in.html", sentence="")

    async def style() -> Response:
        """Answer with the style sheet of the form."""
        return secure(static_file("console.css"))

    async def sign_in(request: Request) -> Response:
        """Begin a session for who knows the token."""
        return await _sign_in(request, access, _base(request))

    # Of FastAPI's own class of routes: the console's answers viewers only.
    add = partial(routes.add_api_route, response_model=None, route_class_override=APIRoute)
    add("/sign-in", form, methods=["GET"])
    add("/sign-in", sign_in, methods=["POST"])
    add("/sign-in.css", style, methods=["GET"])


async def _sign_in(request: Request, access: Token, base: str) -> Response:
    if not is_same_origin(request.headers):
        raise CrossSiteRequest
    given = (await fields_of(request)).get("token", "")
    if seconds := math.ceil(access.wait(request)):
        sentence = f"Too many wrong tokens came from your address. Wait {seconds} seconds."
        response = plain_page(base, "sign-in.html", status=_TOO_MANY, sentence=sentence)
        response.headers["Retry-After"] = str(seconds)
        return response
    if not access.is_right(request, given):
        sentence = "That is not the token."
        response = plain_page(base, "sign-in.html", status=_UNAUTHORIZED, sentence=sentence)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    response = secure(RedirectResponse(base, status_code=_SEE_OTHER))
    give_session(response, access, request, base)
    return response


def give_session(response: Response, access: Token, request: Request, base: str) -> None:
    """Begin a session: its cookie is for this console alone, and no script reads it."""
    response.set_cookie(
        COOKIE,
        access.session(),
        max_age=access.session_seconds,
        path=base or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def end_session(response: Response, base: str) -> None:
    """Take the cookie of a session away."""
    response.delete_cookie(COOKIE, path=base or "/", httponly=True, samesite="strict")


def plain_page(base: str, name: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page for who has no session."""
    html = template(name).render(base=base, **values)
    return secure(HTMLResponse(html, status_code=status))


def _base(request: Request) -> str:
    return base_of(request.scope, "/sign-in")
