"""Apply a patch to what is stored, and judge the whole before any write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from roadworthy._internal.read_json import Json
from roadworthy.patching._members import Member, adapter_of, members_of
from roadworthy.patching._merge import merge
from roadworthy.patching._model import (
    Document,
    Patch,
    document_of,
    entity_of,
    names_in,
    operations_of,
    read,
)
from roadworthy.patching._storable import not_storable
from roadworthy.problems import FieldError, ValidationFailed, field_errors
from roadworthy.problems.fields import MAX_ERRORS, pointer

__all__ = ["Change", "apply"]

M = TypeVar("M", bound=BaseModel)
Loc: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change(Generic[M]):
    """What a patch makes of a resource: nothing is written yet."""

    before: M
    after: M
    values: Mapping[str, Any]
    """By field name, only what was sent: what to write to the columns.

    Numbers, dates and the like are Python's own; models, also inside lists and
    dicts, are JSON objects, ready for a JSON column.
    """


def apply(patch: Patch[M], current: M) -> Change[M]:
    """Merge a patch into `current` and validate the whole; `current` stays as it is.

    Call it where nobody else can write the row between your reading of `current`
    and your writing of `values`: under `SELECT ... FOR UPDATE`, or SQLite's
    `BEGIN IMMEDIATE`. Then two patches of one JSON column both survive.

    Raises:
        ValidationFailed: 422. What comes out is not a valid entity.
        PatchTestFailed: 409. A `test` of a JSON Patch does not hold for `current`.
    """
    kind = type(patch)
    entity = entity_of(kind)
    if not isinstance(current, entity):
        raise TypeError(
            f"{kind.__name__} applies to {entity.__name__}, not {type(current).__name__}. "
            f"Write {entity.__name__}.model_validate(row) first."
        )
    work = _Merge(kind, deep=operations_of(patch) is None)
    patch, document = _resolved(patch, current)
    after = work.whole(patch, document, current)
    sent = [member.name for member in _sent(kind, document)]
    made: dict[str, Any] = {name: vars(after)[name] for name in sent}
    work.refuse_unstorable(made)
    values = {name: _column(value) for name, value in made.items()}
    return Change(before=current, after=after, values=MappingProxyType(values))


def _resolved(patch: Patch[M], current: M) -> tuple[Patch[M], Document]:
    operations = operations_of(patch)
    if operations is None:
        return patch, document_of(patch)
    # Not at the top: the jsonpatch library is an extra.
    from roadworthy.patching._json_patch import document_after  # noqa: PLC0415

    document = document_after(operations, current)
    return read(type(patch), document, json.dumps(document).encode()), document


def _sent(kind: type[Patch[Any]], document: Document) -> list[Member]:
    members = members_of(entity_of(kind)).values()
    return [m for m in members if any(key in document for key in m.keys)]


class _Merge:
    """One patch on its way into one entity."""

    def __init__(self, kind: type[Patch[Any]], *, deep: bool) -> None:
        self.names = names_in(kind)
        self.deep = deep
        """False for a JSON Patch: it has already said what each object becomes."""

    def whole(self, patch: Patch[Any], document: Document, current: Any, loc: Loc = ()) -> Any:
        entity = entity_of(type(patch))
        entity = type(current) if isinstance(current, entity) else entity
        values: dict[str, Any] = _fields_of(current) if isinstance(current, entity) else {}
        for member in _sent(type(patch), document):
            key = next(key for key in member.keys if key in document)
            values[member.name] = self.value(
                member,
                vars(patch)[member.name],
                document[key],
                values.get(member.name),
                (*loc, key),
            )
        try:
            return entity.model_validate(values, by_name=True, by_alias=False)
        except ValidationError as error:
            raise self.failed(error, (*loc,), entity) from error

    def value(self, member: Member, value: Any, sent: Json, current: Any, loc: Loc) -> Any:
        if isinstance(value, Patch) and isinstance(sent, dict):
            return self.whole(cast("Patch[Any]", value), sent, current, loc)
        value = cast("Any", value)
        if not isinstance(sent, dict) or member.kind == "value":
            return value
        merged = merge(to_jsonable_python(current, by_alias=True), sent) if self.deep else sent
        if member.kind == "given":
            return merged
        try:
            return adapter_of(member).validate_json(json.dumps(merged), strict=True, extra="forbid")
        except ValidationError as error:
            raise self.failed(error, loc) from error

    def failed(
        self, error: ValidationError, loc: Loc, entity: type[BaseModel] | None = None
    ) -> ValidationFailed:
        errors = error.errors(include_url=False, include_input=False)
        members: Mapping[str, Member] = members_of(entity) if entity else {}
        for found in errors:
            first = found["loc"][:1]
            if first and first[0] in members:
                found["loc"] = (members[cast("str", first[0])].keys[0], *found["loc"][1:])
        found_errors = field_errors(cast("Any", errors), names=self.names, within=loc)
        return ValidationFailed(errors=found_errors)

    def refuse_unstorable(self, values: Mapping[str, Any]) -> None:
        if wrong := list(not_storable(values)):
            raise ValidationFailed(
                errors=[
                    FieldError(
                        pointer=pointer(loc, self.names),
                        code="not_storable",
                        message="Input should be finite numbers and text without NUL",
                    )
                    for loc in wrong[:MAX_ERRORS]
                ]
            )


def _fields_of(current: BaseModel) -> dict[str, Any]:
    # Not by getattr: reading a deprecated field warns. Not all of it: cached properties live there.
    stored = vars(current)
    fields = {name: stored[name] for name in type(current).model_fields if name in stored}
    return fields | (current.model_extra or {})


def _column(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True)
        case dict():
            return {k: _column(v) for k, v in cast("dict[Any, Any]", value).items()}
        case list():
            return [_column(item) for item in cast("list[Any]", value)]
        case _:
            return value
