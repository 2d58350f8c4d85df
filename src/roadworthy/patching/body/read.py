"""Read a patch document and check its types, before the resource is known.

The entity's own validators run later, once, when the patch is applied.
"""

import json
from copy import copy
from functools import cache
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from roadworthy._internal.read_json import Json
from roadworthy.patching.deriving.entity import NESTED, entity_of
from roadworthy.patching.deriving.members import (
    Member,
    ModelMember,
    members_of,
    nested_members_of,
    without_validators,
)
from roadworthy.patching.patch import Document, Operations, Patch
from roadworthy.patching.schema.decimals import in_digits
from roadworthy.patching.schema.fields import layout_of
from roadworthy.patching.schema.nodes import Schema, is_foreign, with_definitions
from roadworthy.patching.values.storable import Location
from roadworthy.problems import FieldError, Names, ValidationFailed, field_errors, names_of
from roadworthy.problems.validation.field_errors import MAX_ERRORS, pointer
from roadworthy.problems.validation.strict_json import refuse_unstorable

__all__ = ["from_operations", "names_in", "parse", "read"]

P = TypeVar("P", bound=Patch[Any])


def parse(kind: type[P], document: Document) -> P:
    """Return the patch of a merge-patch document (RFC 7396), as a request makes it.

    Raises:
        ValidationFailed: 422. The document does not fit the entity of `kind`.
    """
    body = json.dumps(document).encode()
    refuse_unstorable(cast("Json", document), body, names=names_in(kind))
    return read(kind, document, body)


def read(kind: type[P], document: Document, body: bytes) -> P:
    """Return the patch of a document whose numbers and text are known to be storable.

    Pydantic reads `body` itself: strict JSON takes dates and decimals from strings,
    and neither `true` nor `"5"` for a number.
    """
    reading = _Reading(names_in(kind))
    patch = reading.patch(kind, document, body)
    if reading.errors:
        raise ValidationFailed(errors=reading.errors[:MAX_ERRORS])
    return patch


class _Reading:
    """Read one document, and collect all errors in it."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.errors: list[FieldError] = []

    def patch(self, kind: type[P], document: Document, body: bytes, loc: Location = ()) -> P:
        members, values = _by_key(kind, bool(loc)), dict[str, Any]()
        for key, value in self._found(kind, body, loc).items():
            member = members[key]
            if member.name in values:
                self._named_twice((*loc, key))
            values[member.name] = self._value(kind, member, value, (*loc, key))
        return _made(kind, values, document)

    def _found(self, kind: type[Patch[Any]], body: bytes, loc: Location) -> dict[str, Any]:
        try:
            return dict(_reader(kind, bool(loc)).validate_json(body, strict=True, extra="forbid"))
        except ValidationError as error:
            told: Any = error.errors(include_url=False, include_input=False)
            self.errors += field_errors(told, names=self.names, within=loc)
            return {}

    def _value(self, kind: type[Patch[Any]], member: Member, value: Any, loc: Location) -> Any:
        if not (isinstance(member, ModelMember) and isinstance(value, dict)):
            return value
        body = json.dumps(value).encode()
        return self.patch(_nested(kind, member), cast("Document", value), body, loc)

    def _named_twice(self, loc: Location) -> None:
        place = pointer(loc, self.names)
        self.errors.append(FieldError(pointer=place, code="extra_forbidden", message=_TWICE))


_TWICE: Final = "The field is named twice"


def _made(kind: type[P], values: dict[str, Any], document: Document) -> P:
    patch = _empty(kind)
    vars(patch).update(values)
    patch.__pydantic_fields_set__.update(values)
    patch._document = document  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours
    return patch


def _empty(kind: type[P]) -> P:
    # Pydantic would compute the default of each field; here all are the same.
    return copy(_one_empty(kind)) if _has_no_more(kind) else kind.model_construct()


@cache
def _one_empty(kind: type[P]) -> P:
    return kind.model_construct()


@cache
def _has_no_more(kind: type[Patch[Any]]) -> bool:
    """Return whether a subclass adds nothing that has to be made for each object."""
    same = kind.__private_attributes__.keys() == Patch.__private_attributes__.keys()
    return same and not is_foreign(kind.model_post_init)


@cache
def _nested(kind: type[Patch[Any]], member: ModelMember) -> type[Patch[Any]]:
    declared = cast("dict[str, type[Patch[Any]]]", getattr(kind, NESTED))
    model: Any = member.model
    return declared.get(member.name) or Patch[model]


@cache
def _by_key(kind: type[Patch[Any]], inside: bool) -> dict[str, Member]:
    members = (nested_members_of if inside else members_of)(entity_of(kind)).values()
    return {key: member for member in members for key in member.keys}


@cache
def _reader(kind: type[Patch[Any]], inside: bool) -> SchemaValidator:
    layout = layout_of(entity_of(kind))
    fields: Schema = {
        key: {"type": "typed-dict-field", "required": False, "schema": member.shape()}
        for key, member in _by_key(kind, inside).items()
    }
    node: Schema = {"type": "typed-dict", "fields": fields, "extra_behavior": "forbid"}
    definitions = [
        {**in_digits(without_validators(d)), "ref": d["ref"]} for d in layout.definitions
    ]
    config = {**layout.config, "allow_inf_nan": False}
    config.pop("title", None)
    return SchemaValidator(
        cast("Any", with_definitions(node, definitions)), cast("Any", config), _use_prebuilt=False
    )


def from_operations(kind: type[P], operations: Operations) -> P:
    """Return a patch of JSON Patch operations, which has no values yet."""
    patch = kind.model_construct()
    vars(patch).clear()
    patch._operations = operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours
    return patch


@cache
def names_in(kind: type[Patch[Any]]) -> Names:
    """Return the names that error pointers may show: those of the entity."""
    entity = entity_of(kind)
    layout = layout_of(entity)
    own = {key for member in members_of(entity).values() for key in member.keys}
    own |= set(layout.by_output)
    return names_of(entity) | Names(frozenset(own))
