"""`FieldError`: the fault of a field, without repeating what was sent.

Pydantic's own errors contain the input, texts of exceptions and keys of the client. None of that
leaves the service here: pointers name fields of the schema, and a member by the client's name only
if that is harmless text; messages come from the schema.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict  # Pydantic needs this one before Python 3.12

from roadworthy.problems.validation.messages import message, nearest
from roadworthy.problems.validation.schema_walk import Shape, Step

__all__ = [
    "MAX_ERRORS",
    "FieldError",
    "FieldErrorJson",
    "In",
    "Names",
    "field_errors",
    "names_in",
    "names_of",
    "pointer",
]

In: TypeAlias = Literal["body", "query", "path", "header", "cookie"]
"""The place of a field in a request."""

MAX_ERRORS = 100
"""The most errors in an answer: a hostile body could cause a megabyte of them."""

_LOOKED_AT: Final = 10 * MAX_ERRORS
"""The most errors that are read, if many of them are equal."""

_HARMLESS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names of the client that may be repeated: no text, and no special characters."""

_EXTRA: Final = "extra_forbidden"


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
    """The names that a schema knows: what a pointer and a hint may say.

    Names of one type are joined with those of another by `|`.
    """

    fields: frozenset[str]
    labels: frozenset[str] = frozenset()
    """What is left out of a pointer where nothing else tells what it is."""
    shape: Shape = field(default_factory=Shape, compare=False, repr=False)
    """Where each name stands."""

    def __or__(self, other: "Names") -> "Names":
        return Names(
            self.fields | other.fields,
            self.labels | other.labels,
            Shape((*self.shape.schemas, *other.shape.schemas)),
        )


def field_errors(
    errors: Iterable[Mapping[str, Any]],
    *,
    names: Names,
    within: Sequence[str | int] = (),
    in_: In = "body",
) -> list[FieldError]:
    """Turn Pydantic's errors into ours: safe to send, at most `MAX_ERRORS`.

    `within` is the location of the value that was read, and precedes each location. Labels of
    unions are left out. An unknown name is repeated if it is harmless, with the nearest field in
    the message; else the pointer ends before the name.
    """
    found: dict[FieldError, None] = {}
    for error in islice(errors, _LOOKED_AT):
        steps = list(names.shape.walk(error["loc"], within=within))
        found[
            FieldError(
                pointer=_pointer(_told(steps, names, error)),
                in_=in_,
                code=error["type"],
                message=message(error) + _hint(steps, error),
            )
        ] = None
        if len(found) == MAX_ERRORS:
            break
    return list(found)


def pointer(location: Iterable[str | int], names: Names) -> str:
    """Return the JSON pointer (RFC 6901) of a place in a document.

    Pointers name fields, and other members if their names are harmless; they end before any
    other name.
    """
    told = takewhile(
        lambda part: isinstance(part, int) or part in names.fields or _HARMLESS.fullmatch(part),
        location,
    )
    return _pointer(told)


def names_of(kind: type[BaseModel] | Any) -> Names:
    """Return the names of all fields that a value of a type may have."""
    try:
        schema = TypeAdapter(kind).core_schema
    except Exception:  # types without a schema have no names
        return Names(frozenset())
    return names_in(schema)


def names_in(*schemas: Mapping[str, Any]) -> Names:
    """Return the names of all fields of core schemas."""
    shape = Shape(schemas)
    return Names(shape.names(), shape=shape)


def _told(steps: Sequence[Step], names: Names, error: Mapping[str, Any]) -> Iterator[str | int]:
    for step in steps:
        if step.kind == "label" or (step.kind == "lost" and step.part in names.labels):
            continue
        if not _may_be_told(step, names, extra=error["type"] == _EXTRA):
            return
        yield step.part


def _may_be_told(step: Step, names: Names, *, extra: bool) -> bool:
    if step.kind in {"field", "index"} or step.part in names.fields:
        return True
    # A part that no schema explains may be a label: only certain members are repeated.
    is_member = step.kind in {"key", "unknown"} or extra
    return is_member and bool(_HARMLESS.fullmatch(str(step.part)))


def _pointer(parts: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _hint(steps: Sequence[Step], error: Mapping[str, Any]) -> str:
    if error["type"] != _EXTRA or not steps or not steps[-1].fields:
        return ""
    meant = nearest(str(steps[-1].part), steps[-1].fields)
    return f'; did you mean "{meant}"?' if meant else ""
