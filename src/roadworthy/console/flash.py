"""`Flash`: what an action has done, told on the next page, and then no more.

It travels in a cookie of half a minute: the page after it has the URL of its filters only.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final, cast
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Flash"]

_COOKIE: Final = "roadworthy_console_done"
_SECONDS: Final = 30
_MAX: Final = 300
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Flash:
    """What was done: `text` is a sentence of ours, such as "3 jobs were retried."."""

    text: str
    good: bool = True
    """Whether all of it was done."""

    @classmethod
    def of(cls, request: Request) -> "Flash | None":
        """Return what the action before this page has done, or None."""
        try:
            found: object = json.loads(unquote(request.cookies.get(_COOKIE, "")[:_LONGEST]))
        except (ValueError, RecursionError):  # somebody else has written it
            return None
        if not isinstance(found, dict):
            return None
        values = cast("dict[str, object]", found)
        return cls(str(values.get("text", ""))[:_MAX], values.get("good") is True)

    def put_on(self, response: Response, path: str) -> None:
        """Have the next page tell of it."""
        value = quote(json.dumps(asdict(self)))
        response.set_cookie(
            _COOKIE, value, max_age=_SECONDS, path=path or "/", httponly=True, samesite="strict"
        )

    def forget(self, response: Response, path: str) -> None:
        """Have no later page tell of it."""
        response.delete_cookie(_COOKIE, path=path or "/", httponly=True, samesite="strict")
