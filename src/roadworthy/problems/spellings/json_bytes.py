"""Write an error document as JSON, whatever values its details hold."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Final, cast

from pydantic_core import to_json, to_jsonable_python

__all__ = ["MAX_PATH", "json_bytes"]

MAX_PATH: Final = 500
"""The most characters of the path in an error."""


def json_bytes(document: Any) -> bytes:
    """Return a document as JSON; other values become null, or the name of their type."""
    try:
        return to_json(document, inf_nan_mode="null")
    except Exception:  # a value without a JSON form must not turn one error into another
        return to_json(_writable(document))


def _writable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case float():
            return value if isfinite(value) else None
        case None | int():
            return value
        case Mapping():
            return _writable_object(cast("Mapping[Any, Any]", value))
        case list() | tuple() | set() | frozenset():
            return [_writable(child) for child in cast("Iterable[Any]", value)]
        case _:
            return _writable_other(value)


def _writable_object(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {_writable(str(name)): _writable(child) for name, child in value.items()}


def _writable_other(value: object) -> Any:
    try:
        return to_jsonable_python(value, inf_nan_mode="null")
    except Exception:  # only the name of the type is safe to show
        return type(value).__name__
