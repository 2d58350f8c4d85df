"""The responses of downloads for OpenAPI: the library cannot know their media types."""

from typing import Any, Final

from fastapi import status

from roadworthy import problems
from roadworthy.conditional import PreconditionFailed
from roadworthy.problems import Problem, RangeNotSatisfiable

__all__ = ["CONDITIONS", "documented"]

CONDITIONS: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": description,
        }
        for name, description in (
            ("Range", "One part of it: `bytes=0-499`."),
            ("If-None-Match", "Entity tags: answer 304 where one of them is current."),
            ("If-Range", "An entity tag: answer the part only if it is current."),
        )
    ]
}
"""The `openapi_extra=` of a route that serves a file."""

_NAMES: Final = (
    "Accept-Ranges",
    "Content-Disposition",
    "ETag",
    "Last-Modified",
    "X-Content-Type-Options",
)


def documented(*failures: type[Problem], of: tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that serves files of these types."""
    schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    content = {media_type: {"schema": schema} for media_type in of}
    headers = {name: {"schema": {"type": "string"}} for name in _NAMES}
    part = {**headers, "Content-Range": {"schema": {"type": "string"}}}
    tag = {"ETag": headers["ETag"]}
    return {
        status.HTTP_200_OK: {"content": content, "headers": headers},
        status.HTTP_206_PARTIAL_CONTENT: {
            "description": "The part that was asked for",
            "content": content,
            "headers": part,
        },
        status.HTTP_304_NOT_MODIFIED: {"description": "Not Modified", "headers": tag},
        **problems.responses(*failures, PreconditionFailed, RangeNotSatisfiable),
    }
