"""`FieldError`: what is wrong with a field, without repeating what was sent.

Pydantic's own errors carry the input, exception texts and the client's own keys.
None of that leaves the service here: the pointer names fields of the schema, and what the
client called a member where that is harmless text; messages are the schema's own.
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
"""Where a field stands in a request."""

MAX_ERRORS = 100
"""Errors told at once: a hostile body could otherwise ask for a megabyte of them."""

_LOOKED_AT: Final = 10 * MAX_ERRORS
"""Errors that are looked at, where many of them say the same."""

_HARMLESS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names of the client's own making that may be told: no text, and nothing to break out of."""

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
    """Turn Pydantic's errors into ours: safe to send, `MAX_ERRORS` at most.

    `within` is the way to the value that was read, and is put before each location. Labels
    of unions are left out; an unknown name is told where it is harmless, with the field
    that comes nearest in the message, and else the pointer ends before it.
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
    """Make the JSON pointer (RFC 6901) of a place in a document.

    Pointers name fields, and what is none where its name is harmless; they end before
    any other name.
    """
    told = takewhile(
        lambda part: isinstance(part, int) or part in names.fields or _HARMLESS.fullmatch(part),
        location,
    )
    return _pointer(told)


def names_of(kind: type[BaseModel] | Any) -> Names:
    """Collect the names of every field that can stand in a value of this type."""
    try:
        schema = TypeAdapter(kind).core_schema
    except Exception:  # types without a schema have no names to tell
        return Names(frozenset())
    return names_in(schema)


def names_in(*schemas: Mapping[str, Any]) -> Names:
    """Collect the names of every field that these core schemas have."""
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
    # What no schema told the way of may be a label: it is told only if it is a member for sure.
    is_member = step.kind in {"key", "unknown"} or extra
    return is_member and bool(_HARMLESS.fullmatch(str(step.part)))


def _pointer(parts: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _hint(steps: Sequence[Step], error: Mapping[str, Any]) -> str:
    if error["type"] != _EXTRA or not steps or not steps[-1].fields:
        return ""
    meant = nearest(str(steps[-1].part), steps[-1].fields)
    return f'; did you mean "{meant}"?' if meant else ""
