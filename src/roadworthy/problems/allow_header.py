"""The `Allow` header of a path, with the methods of all its routes."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

__all__ = ["complete_allow"]

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def complete_allow(scope: Scope, error: HTTPException) -> None:
    """Let `Allow` list every method that the path takes (RFC 9110 §15.5.6).

    A 405 that an endpoint raised keeps the `Allow` that it came with.
    """
    found = [method for method in _METHODS if _is_taken(scope, method)]
    if not found or scope["method"] in found:
        return
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    told = [method.strip() for method in headers.pop("allow", "").split(",") if method.strip()]
    error.headers = {**headers, "allow": ", ".join(dict.fromkeys([*found, *told]))}


def _is_taken(scope: Scope, method: str) -> bool:
    asked = {**scope, "method": method}
    return any(route.matches(asked)[0] is Match.FULL for route in scope["app"].routes)
