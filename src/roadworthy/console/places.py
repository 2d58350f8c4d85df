"""Say where a console is: the path of its first page, and of the page that was asked for.

Both are read from the request itself, and from nothing that a client may write beside its
path: below a prefix, a mounted application, or the root path of a server.
"""

from typing import Final
from urllib.parse import quote

from starlette.types import Scope

__all__ = ["base_of", "path_of"]

_SAFE: Final = "/:@!$&'()*+,=~"


def path_of(scope: Scope) -> str:
    """Return the path of a request as a browser asks for it, with the root path."""
    path: str = scope["path"]
    root = "/" + inner if (inner := _root(scope).strip("/")) else ""
    whole = path if path == root or path.startswith(f"{root}/") else root + path
    return quote("/" + whole.lstrip("/"), safe=_SAFE)  # with two slashes it would be a host


def base_of(scope: Scope, template: str) -> str:
    """Return the path of the first page of the console that a request was sent to.

    Args:
        scope: The ASGI scope.
        template: The path below the console that was met, such as `/jobs/{id}`.
    """
    segments = template.count("/")
    path = path_of(scope)
    return path.rsplit("/", segments)[0] if segments else path


def _root(scope: Scope) -> str:
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root
