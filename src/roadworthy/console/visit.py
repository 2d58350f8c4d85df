"""`Visit`: one request of somebody who may see the console, as its pages are given it."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from roadworthy.console.access import Action, Viewer
from roadworthy.console.errors import ActionNotAllowed
from roadworthy.console.flash import Flash
from roadworthy.console.forms import fields_of
from roadworthy.console.options import Options
from roadworthy.console.page import Page
from roadworthy.console.parts import Parts
from roadworthy.console.places import path_of
from roadworthy.console.rendering import template
from roadworthy.console.token import COOKIE
from roadworthy.problems import NotFound

__all__ = ["KEY", "Seen", "Visit", "visit_of"]

KEY: Final = "roadworthy.console.visit"
"""Scope key of the visit."""
_AFTER_POST: Final = 303


@dataclass(slots=True)
class Visit:
    """Somebody's request to the console: who, where, and how a page is answered."""

    request: Request
    viewer: Viewer
    options: Options
    base: str
    """The path of the console's first page, such as `/ops`, with the server's root path."""
    parts: Parts

    def may(self, action: Action) -> bool:
        """Return whether the viewer may do this."""
        return self.viewer.may(action)

    def require(self, action: Action) -> None:
        """Go on where the viewer may do this.

        Raises:
            ActionNotAllowed: 403.
        """
        if not self.viewer.may(action):
            raise ActionNotAllowed(action=action)

    def url(self, path: str = "", **query: object) -> str:
        """Return the URL of a path below the console; what is None or empty is left out."""
        wanted = {name: str(value) for name, value in query.items() if value not in {None, ""}}
        return f"{self.base}{path}" + (f"?{urlencode(wanted)}" if wanted else "")

    def here(self, **changed: object) -> str:
        """Return the URL of this page, its filters changed as named."""
        query = {**self.request.query_params, **changed}
        wanted = {name: str(value) for name, value in query.items() if value not in {None, ""}}
        return path_of(self.request.scope) + (f"?{urlencode(wanted)}" if wanted else "")

    def menu(self) -> list[Page]:
        """Return the pages whose parts the service has."""
        return [page for page in self.options.pages if page.is_there(self.parts)]

    def has_session(self) -> bool:
        """Return whether there is a session that can be ended."""
        return COOKIE in self.request.cookies

    async def form(self) -> dict[str, str]:
        """Return the fields of the form that was sent.

        Raises:
            FormTooLarge: 413.
        """
        return await fields_of(self.request)

    def page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """Answer with a template, such as `page("jobs.html", jobs=found)`."""
        flash = Flash.of(self.request)
        html = template(name).render(visit=self, flash=flash, **values)
        response = HTMLResponse(html, status_code=status)
        if flash is not None:
            flash.forget(response, self.base)
        return response

    def after(self, path: str, *, flash: Flash, back: str = "") -> Response:
        """Answer a change: show a page, its filters as they were, and what was done.

        Args:
            path: The path of the page below the console.
            flash: What was done.
            back: The query string that the page had: the form's field `back`.
        """
        query = urlencode(parse_qsl(back[:4096]))  # written anew: it is no way to other places
        response = RedirectResponse(
            f"{self.base}{path}" + (f"?{query}" if query else ""), status_code=_AFTER_POST
        )
        flash.put_on(response, self.base)
        return response

    def missing(self) -> NoReturn:
        """Answer that there is nothing here.

        Raises:
            NotFound: 404.
        """
        raise NotFound


def visit_of(request: Request) -> Visit:
    """Return the visit that a request is."""
    found: Visit = request.scope[KEY]
    return found


Seen = Annotated[Visit, Depends(visit_of)]
"""What a page takes: `async def show(visit: Seen)`."""
