"""Describe the headers of tus in OpenAPI."""

from collections.abc import Callable
from typing import Any, Final

from roadworthy.uploads.resumable.headers import ALGORITHMS, CONTENT_TYPE, VERSION

__all__ = ["documents"]

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_BYTES: Final[Schema] = {"type": "integer", "minimum": 0}
_REQUEST: Final[dict[str, tuple[Schema, str]]] = {
    "Tus-Resumable": ({"type": "string", "const": VERSION}, "The version of tus that is spoken."),
    "Upload-Length": (_BYTES, "The size of the whole file, in bytes."),
    "Upload-Metadata": (
        _TEXT,
        "`filename` and `filetype`, each with a space and its Base64, between commas.",
    ),
    "Upload-Offset": (_BYTES, "Where these bytes begin: what HEAD says."),
    "Upload-Checksum": (_TEXT, f"{ALGORITHMS.replace(',', ', ')}: a name, a space, Base64."),
}
_OPTIONAL: Final = frozenset({"Upload-Metadata", "Upload-Checksum"})
_ANSWER: Final[dict[str, Schema]] = {
    "Tus-Resumable": _TEXT,
    "Upload-Offset": _BYTES,
    "Upload-Length": _BYTES,
    "Upload-Metadata": _TEXT,
    "Upload-Expires": _TEXT,
    "Location": _TEXT,
    "Tus-Version": _TEXT,
    "Tus-Extension": _TEXT,
    "Tus-Max-Size": _BYTES,
    "Tus-Checksum-Algorithm": _TEXT,
}
_BODY: Final[Schema] = {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}


def documents(
    *, request: tuple[str, ...] = (), answer: tuple[str, ...] = (), body: bool | None = None
) -> Callable[[Schema, Schema], None]:
    """Return a function that adds headers and a body to an operation."""

    def amend(operation: Schema, _schemas: Schema) -> None:
        operation.setdefault("parameters", []).extend(map(_parameter, request))
        if body is not None:
            operation.setdefault("requestBody", {"required": body, "content": _BODY})
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                headers = {name: {"schema": _ANSWER[name]} for name in answer}
                response["headers"] = {**headers, **response.get("headers", {})}

    return amend


def _parameter(name: str) -> Schema:
    schema, description = _REQUEST[name]
    required = name not in _OPTIONAL
    return {
        "name": name,
        "in": "header",
        "required": required,
        "schema": schema,
        "description": description,
    }
