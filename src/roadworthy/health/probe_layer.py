"""`ProbeLayer`: answer probes before any middleware of the application runs."""

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roadworthy.health.answers import ANSWERS, ProbeRequest, readiness_by
from roadworthy.health.known_health import KnownHealth

__all__ = ["ONE_CHECK", "ProbeLayer"]

ONE_CHECK: Final = "/readyz/"
"""The path of a probe by one check, but for the name of the check."""


class ProbeLayer:
    """The ASGI layer that answers probes, and ends streams when the service stops.

    No middleware, no dependency and no limit of the application can make a probe wait.

    Args:
        app: The application, with all its middleware.
        health: The results to answer with.
    """

    def __init__(self, app: ASGIApp, health: KnownHealth) -> None:
        self.app, self.health = app, health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a probe, or pass another request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif answer := self._answer(scope):
            await answer(scope, receive, send)
        else:
            leaving = self.health.draining
            await self.health.streams.serve(self.app, scope, receive, send, leaving=leaving)

    def _answer(self, scope: Scope) -> Response | None:
        path = scope["path"]
        if root := scope.get("root_path", ""):
            path = path.removeprefix(root)
        make = ANSWERS.get(path)
        is_probe = make is not None or path.startswith(ONE_CHECK)
        if not is_probe or scope["method"] not in {"GET", "HEAD"}:
            return None
        request = ProbeRequest(scope)
        if "origin" in request.headers:
            return None  # a page in a browser: it needs the CORS headers that middleware adds
        if make is not None:
            scope["route"] = _ProbeRoute(path)
            return make(self.health, request)
        scope["route"] = _ProbeRoute(f"{ONE_CHECK}{{check}}")
        return readiness_by(self.health, request, path.removeprefix(ONE_CHECK))


class _ProbeRoute:
    """The route of a probe, as logs and metrics read it."""

    def __init__(self, path: str) -> None:
        self.path = self.path_format = path
