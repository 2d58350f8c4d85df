"""`Innermost`: the ASGI layer inside of all middleware."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadworthy import _fastapi
from roadworthy.problems.contract import RequestContext, context_of
from roadworthy.problems.report import FIRST_ERROR

__all__ = ["Innermost"]


class Innermost:
    """The ASGI layer inside of all middleware of one application.

    It notes what broke the body off: `BaseHTTPMiddleware` ends a body that failed half-way
    as if it were whole, and raises only then: by that time the client has been told that
    nothing is missing. It notes which answers are the application's own. And it sees where
    there are more routes than at the last request: these come under the contract, too.
    """

    def __init__(
        self, app: ASGIApp, *, owner: Starlette, settle: Callable[[Starlette], None]
    ) -> None:
        self.app = app
        self.owner = owner
        self.settle = settle
        self.known = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and note an exception before any middleware hides it."""
        context, owner = context_of(scope), self.owner
        if context is None:
            return await self.app(scope, receive, send)
        if len(owner.router.routes) != self.known:
            self.settle(owner)
            self.known = len(owner.router.routes)
        context.inner = scope

        def note(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start" and message["status"] >= FIRST_ERROR:
                _note_own(context, scope, message["status"], owner)
            return send(message)

        try:
            await self.app(scope, receive, note)
        except Exception as error:  # passed on
            context.broken = error
            raise


def _note_own(context: RequestContext, scope: Scope, status: int, here: Starlette) -> None:
    """Note that an answer is the application's own, and not of its middleware."""
    if scope.get("app") is not here or _leads_elsewhere(scope.get("endpoint"), here):
        return  # a mounted application: what it says itself, its own innermost layer has noted
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and _fastapi.is_over_limit(scope):
        return  # FastAPI's limit of a route, which is inside of all middleware
    context.own = status


def _leads_elsewhere(endpoint: Any, here: Starlette) -> bool:
    """Return whether a layer around another application may have answered for it."""
    for _ in range(_LAYERS):
        if isinstance(endpoint, Starlette):
            return endpoint is not here
        endpoint = getattr(endpoint, "app", None)
    return False


_LAYERS: Final = 50
"""Middleware around one application: more than anybody has, and an end for a circle."""
