"""What somebody who is not let in is answered: nothing, unless a `Token` knows a way in.

There are three: a link that is good once, the way to the form for whoever opens the first
page in a browser, and for whoever had a session that is over.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from roadworthy.console.access import Access
from roadworthy.console.places import path_of
from roadworthy.console.signing_in import give_session, plain_page
from roadworthy.console.token import Token

__all__ = ["way_in"]

_SEE_OTHER: Final = 303
_USED_UP: Final = (
    "This link was good once, and for a few minutes. Take the one that was printed last, or "
    "start the service again."
)


def way_in(request: Request, access: Access, base: str) -> Response | None:
    """Return an answer for somebody who is not let in, or None: then there is nothing here."""
    if not isinstance(access, Token) or request.method != "GET":
        return None
    is_first_page = path_of(request.scope).rstrip("/") == base
    code = request.query_params.get("link", "")
    if is_first_page and access.knows_link(code):
        return _follow(request, access, base, code)
    wants_form = is_first_page or access.had_session(request)
    if access.signs_in and wants_form and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{base}/sign-in", status_code=_SEE_OTHER)
    return None


def _follow(request: Request, access: Token, base: str, code: str) -> Response:
    if not access.use_link(code):
        return plain_page(base, "link.html", status=404, sentence=_USED_UP)
    response = RedirectResponse(base, status_code=_SEE_OTHER)
    give_session(response, access, request, base)
    return response
