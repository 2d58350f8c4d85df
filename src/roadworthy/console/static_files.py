"""The files that pages load: one style sheet, one small script, and htmx 2.0.11 (0BSD)."""

from functools import cache
from importlib.resources import files
from typing import Final

from starlette.responses import Response

from roadworthy.problems import NotFound

__all__ = ["static_file"]

_TYPES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def static_file(name: str) -> Response:
    """Answer with one of the files.

    Raises:
        NotFound: 404: there is none of this name.
    """
    if name not in _TYPES:
        raise NotFound
    return Response(_content(name), media_type=_TYPES[name])


@cache
def _content(name: str) -> bytes:
    return (files("roadworthy.console") / "static" / name).read_bytes()
