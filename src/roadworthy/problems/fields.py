"""`FieldError`: what is wrong with a field, without repeating what was sent.

Pydantic's own errors carry the input, exception texts and the client's own keys.
None of that leaves the service here: the pointer names fields of the schema only,
and the message is made of the schema's own numbers.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core.core_schema import ErrorType
from typing_extensions import TypedDict  # Pydantic needs this one before Python 3.12

__all__ = ["FieldError", "FieldErrorJson", "In", "Names", "field_errors", "names_of", "pointer"]

In: TypeAlias = Literal["body", "query", "path", "header", "cookie"]
"""Where a field stands in a request."""

MAX_ERRORS = 100
"""Errors told at once: a hostile body could otherwise ask for a megabyte of them."""

_FROM_THE_SCHEMA = frozenset(
    {"gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "field_type", "pattern"}
    | {"expected", "expected_schemes", "expected_tags", "expected_schema", "max_digits"}
    | {"decimal_places", "whole_digits", "discriminator", "expected_plural", "actual_length"}
)
"""What a message may be filled with: none of it is the client's own text."""

_PYDANTICS_OWN = frozenset(get_args(ErrorType))
_VAGUE = "Input is not valid"

_SILENT = frozenset({"value_error", "assertion_error"})
"""Their text is an exception's: it may quote the value, and it is ours, not the client's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field that does not fit.

    `pointer` is a JSON pointer (RFC 6901) into the body, or `/name` of a parameter;
    `code` is Pydantic's error type or one of your own; `message` is for people.
    """

    pointer: str
    code: str
    message: str
    in_: In = "body"

    def as_json(self) -> "FieldErrorJson":
        """Return the object that is sent."""
        return {
            "pointer": self.pointer,
            "in": self.in_,
            "code": self.code,
            "message": self.message,
        }


FieldErrorJson = TypedDict(
    "FieldErrorJson",
    {
        "pointer": Annotated[str, Field(description="JSON pointer (RFC 6901) to the field.")],
        "in": In,
        "code": Annotated[str, Field(description="What is wrong, for programs.")],
        "message": Annotated[str, Field(description="What is wrong, for people.")],
    },
)
"""A `FieldError` as it is sent."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names a schema knows: only these may appear in a pointer."""

    fields: frozenset[str]
    labels: frozenset[str] = frozenset()
    """What Pydantic puts into a location for a member of a union; not part of the body."""


def field_errors(
    errors: Iterable[Mapping[str, Any]],
    *,
    names: Names,
    within: Sequence[str | int] = (),
    in_: In = "body",
) -> list[FieldError]:
    """Turn Pydantic's errors into ours: safe to send, `MAX_ERRORS` at most.

    `within` is put before each location; names that the schema does not know are cut.
    """
    found = dict.fromkeys(
        FieldError(
            pointer=pointer((*within, *error["loc"]), names),
            in_=in_,
            code=error["type"],
            message=_message(error),
        )
        for error in errors
    )
    return list(found)[:MAX_ERRORS]


def pointer(location: Iterable[str | int], names: Names) -> str:
    """Make the JSON pointer (RFC 6901) of a location, cut where it leaves the schema."""
    parts: list[str] = []
    for part in location:
        if isinstance(part, int) or part in names.fields:
            parts.append(str(part).replace("~", "~0").replace("/", "~1"))
        elif part not in names.labels:
            break
    return "".join(f"/{part}" for part in parts)


def names_of(kind: type[BaseModel] | Any) -> Names:
    """Collect the names of every field that can stand in a value of this type."""
    try:
        schema = TypeAdapter(kind).json_schema()
    except Exception:  # types without a schema have no names to tell
        return Names(frozenset())
    fields: set[str] = set()
    labels: set[str] = set(schema.get("$defs", {}))
    _collect(schema, fields, labels)
    return Names(frozenset(fields), frozenset(labels))


def _collect(node: Any, fields: set[str], labels: set[str]) -> None:
    match node:
        case dict():
            schema = cast("dict[str, Any]", node)
            fields.update(_mapping(schema.get("properties")))
            labels.update(_mapping(_mapping(schema.get("discriminator")).get("mapping")))
            for child in schema.values():
                _collect(child, fields, labels)
        case list():
            for child in cast("list[Any]", node):
                _collect(child, fields, labels)
        case _:
            pass


def _mapping(node: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", node) if isinstance(node, dict) else {}


def _message(error: Mapping[str, Any]) -> str:
    code, text = error["type"], str(error["msg"])
    context: Mapping[str, Any] = error.get("ctx") or {}
    if code in _SILENT:
        return _VAGUE
    if context.keys() <= _FROM_THE_SCHEMA:
        # Pydantic's own, or a PydanticCustomError written for clients.
        return text
    # "Input should be a valid UUID, invalid character: ..." quotes the input after the comma.
    return re.split("[,;:(]", text)[0].rstrip() if _is_pydantics(code, text) else _VAGUE


def _is_pydantics(code: str, text: str) -> bool:
    return code in _PYDANTICS_OWN and text.startswith("Input should be ")
