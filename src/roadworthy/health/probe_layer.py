"""`ProbeLayer`: answer probes before anything of the application is asked."""

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roadworthy.health.answers import ANSWERS, Asked, readiness_by

if TYPE_CHECKING:
    from roadworthy.health.health import Health

__all__ = ["ONE", "ProbeLayer"]

ONE: Final = "/readyz/"
"""What begins the path of a probe by one check."""


class ProbeLayer:
    """The ASGI layer that answers probes, and ends streams when the service does.

    No middleware, no dependency and no limit of the application can make a probe wait.
    """

    def __init__(self, app: ASGIApp, health: "Health") -> None:
        self.app, self.health = app, health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a probe, or serve what is none."""
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
        if (make is None and not path.startswith(ONE)) or scope["method"] not in {"GET", "HEAD"}:
            return None
        asked = Asked(scope)
        if "origin" in asked.headers:
            return None  # a page in a browser: it needs what middleware adds
        if make is not None:
            scope["route"] = _Route(path)
            return make(self.health, asked)
        scope["route"] = _Route(f"{ONE}{{check}}")
        return readiness_by(self.health, asked, path.removeprefix(ONE))


class _Route:
    """What logs and metrics call a probe."""

    def __init__(self, path: str) -> None:
        self.path = self.path_format = path
