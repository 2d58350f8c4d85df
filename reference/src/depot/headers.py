"""The headers of answers that are no errors, for OpenAPI."""

from typing import Any, Final

__all__ = ["documented"]

_SAID: Final = {
    "ETag": "The version of the resource, for If-Match and If-None-Match.",
    "Location": "Where the resource is.",
    "X-Job-ID": "The job that this request made, once for each: see GET /jobs/{job_id}.",
}


def documented(status: int, *names: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that sends these headers with this status."""
    told = {name: {"description": _SAID[name], "schema": {"type": "string"}} for name in names}
    return {status: {"headers": told}}
