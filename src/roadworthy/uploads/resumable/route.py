"""`TusRoute`: check and send the protocol's version with every request."""

from typing import Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from roadworthy.problems import raises
from roadworthy.uploads.resumable.errors import TusVersionUnsupported
from roadworthy.uploads.resumable.headers import VERSION

__all__ = ["TusRoute", "require_version"]

_OVERRIDES: Final = frozenset({"PATCH", "DELETE", "HEAD"})


class TusRoute(APIRoute):
    """A route that sends `Tus-Resumable` with every answer, refusals too.

    `X-HTTP-Method-Override` is for clients that can only POST. It counts on POST only: on other
    methods it would hide from proxies what the request does.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this route serves a request; `X-HTTP-Method-Override` counts."""
        method = _overridden(scope)
        if method is None:
            return super().matches(scope)
        match, child_scope = super().matches({**scope, "method": method})
        return match, {**child_scope, "method": method}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and send the version with the answer."""

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Tus-Resumable"] = VERSION
            await send(message)

        await super().handle(scope, receive, send_with_version)


@raises(TusVersionUnsupported)
async def require_version(request: Request) -> None:
    """Refuse a request of another version; OPTIONS need not name one."""
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        raise TusVersionUnsupported


def _overridden(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    method = Headers(scope=scope).get("X-HTTP-Method-Override", "").upper()
    return method if method in _OVERRIDES else None
