"""`Member`: how one field takes part in a patch, with a class for each kind.

A kind of member knows how a field is read before the resource is known, how it is documented, and
how a subclass of the patch may declare it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, NoReturn, cast, get_args

from pydantic import MISSING, BaseModel, BeforeValidator, PlainValidator, WrapValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticOmit, SchemaValidator

from roadworthy.patching.schema.annotations import arms_of, bare, is_object, nullable, only_model
from roadworthy.patching.schema.decimals import in_digits
from roadworthy.patching.schema.fields import ClassLayout, SchemaField, layout_of
from roadworthy.patching.schema.nodes import (
    Schema,
    function_of,
    is_foreign,
    mapped,
    with_definitions,
)

__all__ = [
    "Member",
    "ModelMember",
    "ObjectMember",
    "RawInputMember",
    "ReadOnlyMember",
    "ValueMember",
    "members_of",
    "nested_members_of",
    "without_validators",
]

ANY: Final[Schema] = {"type": "any"}
_READERS: Final = (BeforeValidator, PlainValidator, WrapValidator)


@dataclass(frozen=True, eq=False)
class Member:
    """One field of an entity, or a computed one."""

    name: str
    keys: tuple[str, ...]
    layout: ClassLayout
    info: FieldInfo | None
    field: SchemaField | None

    @property
    def annotation(self) -> Any:
        """The annotation of the field in the entity."""
        return Any if self.info is None else self.info.annotation

    @property
    def node(self) -> Schema:
        """The field's node of the core schema, without a default."""
        node = ANY if self.field is None else self.field.node
        return node["schema"] if node["type"] == "default" else node

    # The rest is defined by each kind.

    def shape(self) -> Schema:
        """Return the core schema that reads this field while the resource is not known."""
        raise NotImplementedError

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return the JSON schema of this field in a patch."""
        raise NotImplementedError

    def expected(self, nested: Any) -> list[Any]:
        """Return the types with which a subclass of the patch may declare this field."""
        return [frozenset(map(bare, arms_of(self.annotation))) | self.ends]

    def line(self) -> str:
        """Return the line with which a subclass of the patch declares this field."""
        return f"{self.name}: {' | '.join(map(_named, arms_of(self.annotation)))}{self.tail}"

    @property
    def ends(self) -> frozenset[Any]:
        """The types that a declaration adds to the field's own: `MISSING` and `None`."""
        return frozenset({MISSING, None} if nullable(self.annotation) else {MISSING})

    @property
    def tail(self) -> str:
        """The text that a declaration adds to the field's own type."""
        return " | MISSING | None" if nullable(self.annotation) else " | MISSING"


class ValueMember(Member):
    """A field whose value a patch replaces."""

    def shape(self) -> Schema:
        """Return the node of the field's type, without the entity's own validators."""
        return in_digits(without_validators(self.node))

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return the JSON schema that the entity has for this field."""
        return handler(with_definitions(self.node, self.layout.definitions))


class RawInputMember(ValueMember):
    """A field whose own validator reads the raw input, as in a POST."""

    def shape(self) -> Schema:
        """Return a node that takes any value: the validator reads it later."""
        return ANY

    def expected(self, nested: Any) -> list[Any]:
        """Return `Any` or `object`: the type of the input is not known."""
        return [frozenset({MISSING, top}) for top in (Any, object)]

    def line(self) -> str:
        """Return the line that declares this field as `object`."""
        return f"{self.name}: object | MISSING"


class ObjectMember(ValueMember):
    """A field whose JSON objects a patch merges with the current ones."""

    def shape(self) -> Schema:
        """Return a node that takes JSON objects unread, and validates other values."""
        return _plain(self._kept_or_typed)

    def _kept_or_typed(self, value: Any) -> Any:
        return cast("Any", value) if isinstance(value, dict) else self._typed(value)

    def _typed(self, value: Any) -> Any:
        return self._validator.validate_json(json.dumps(value), strict=True, extra="forbid")

    @cached_property
    def _validator(self) -> SchemaValidator:
        definitions = [{**without_validators(d), "ref": d["ref"]} for d in self.layout.definitions]
        node = with_definitions(super().shape(), definitions)
        return SchemaValidator(
            cast("Any", node), cast("Any", self.layout.config), _use_prebuilt=False
        )

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return a schema in which members may be absent, and null removes one."""
        schema = super().documented(handler, nested)
        made = dict(handler.resolve_ref_schema(schema))
        made.pop("required", None)
        items = made.get("additionalProperties")
        if isinstance(items, dict) and items:
            made["additionalProperties"] = {"anyOf": [items, {"type": "null"}]}
        return made

    def expected(self, nested: Any) -> list[Any]:
        """Return the declared types, with `dict[str, Any]` for objects."""
        arms = list(arms_of(self.annotation))
        sent = {bare(dict[str, Any]) if is_object(arm) else bare(arm) for arm in arms}
        whole = {bare(arm) for arm in arms if arm is Any or bare(arm) is dict}
        found = [frozenset(sent) | self.ends]
        return [*found, frozenset(map(bare, arms)) | self.ends] if whole else found

    def line(self) -> str:
        """Return the line that declares objects as `dict[str, Any]`."""
        arms = (
            "dict[str, Any]" if is_object(arm) else _named(arm) for arm in arms_of(self.annotation)
        )
        return f"{self.name}: {' | '.join(arms)}{self.tail}"


class ModelMember(ObjectMember):
    """A field that holds a model; a patch holds the patch of that model."""

    @property
    def model(self) -> type[BaseModel]:
        """The model that the field holds."""
        return cast("type[BaseModel]", only_model(self.annotation))

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return the entity's schema with the nested patch in place of the model."""

        def replaced(node: Schema) -> Schema:
            if self._is_model(node):
                return cast("Schema", nested(self))
            return mapped(node, replaced)

        return handler(with_definitions(replaced(self.node), self.layout.definitions))

    def _is_model(self, node: Schema) -> bool:
        while node["type"] != "model":
            if node["type"] == "definition-ref":
                ref = node["schema_ref"]
                node = next((d for d in self.layout.definitions if d["ref"] == ref), ANY)
            elif node["type"].startswith("function-") and "schema" in node:
                node = node["schema"]
            else:
                return False
        return node["cls"] is self.model

    def expected(self, nested: Any) -> list[Any]:
        """Return the declared types, with the nested patch in place of the model."""
        arms = {"model" if arm is self.model else bare(arm) for arm in arms_of(self.annotation)}
        return [frozenset(arms) | self.ends] if nested else []

    def line(self) -> str:
        """Return the line that declares the nested patch."""
        return f"{self.name}: Patch[{self.model.__name__}]{self.tail}"


class ReadOnlyMember(Member):
    """A field that only the server sets."""

    def shape(self) -> Schema:
        """Return a node that refuses any value as read-only."""
        return _plain(_refuse)

    def documented(self, handler: Any, nested: Any) -> Any:
        """Raise `PydanticOmit`, which leaves the field out of the JSON schema."""
        raise PydanticOmit


@cache
def members_of(entity: type[BaseModel]) -> Mapping[str, Member]:
    """Return the members of an entity by field name, with computed fields."""
    layout = layout_of(entity)
    infos = entity.model_fields
    members = {
        name: _kind(entity, field, infos.get(name))(
            name, field.keys, layout, infos.get(name), field
        )
        for name, field in layout.fields.items()
    }
    computed = {
        name: ReadOnlyMember(name, (found.alias or name,), layout, None, None)
        for name, found in entity.model_computed_fields.items()
    }
    return members | computed


@cache
def nested_members_of(entity: type[BaseModel]) -> Mapping[str, Member]:
    """Return the members of a nested model, whose new objects may set frozen fields."""
    layout, infos = layout_of(entity), entity.model_fields
    born = {
        name: _kind_of_value(entity, field, infos.get(name))(
            name, field.keys, layout, infos.get(name), field
        )
        for name, field in layout.fields.items()
        if field.frozen and not field.server
    }
    return {**members_of(entity), **born}


def _kind(entity: type[BaseModel], field: SchemaField, info: FieldInfo | None) -> type[Member]:
    if field.server or field.frozen:
        return ReadOnlyMember
    return _kind_of_value(entity, field, info)


def _kind_of_value(
    entity: type[BaseModel], field: SchemaField, info: FieldInfo | None
) -> type[Member]:
    annotation = Any if info is None else info.annotation
    if _reads_input(entity, field.name, info):
        return RawInputMember
    if only_model(annotation) is not None:
        return ModelMember
    return ObjectMember if any(is_object(arm) for arm in arms_of(annotation)) else ValueMember


def _reads_input(entity: type[BaseModel], name: str, info: FieldInfo | None) -> bool:
    """Return whether a validator of the user's own reads raw input of this field."""
    decorators = entity.__pydantic_decorators__.field_validators.values()
    return any(
        d.info.mode != "after" and (name in d.info.fields or "*" in d.info.fields)
        for d in decorators
    ) or any(_has_reader(x) for x in ((info.annotation, *info.metadata) if info else ()))


def _has_reader(annotation: Any) -> bool:
    if isinstance(annotation, FieldInfo):
        return any(map(_has_reader, annotation.metadata))
    return isinstance(annotation, _READERS) or any(map(_has_reader, get_args(annotation)))


def _is_of_a_model(node: Schema) -> bool:
    """Return whether a function node is a validator of a whole model."""
    while "schema" in node and node["type"].startswith("function-"):
        node = node["schema"]
    return node["type"] in {"model", "dataclass", "model-fields", "dataclass-args"}


def without_validators(node: Schema) -> Schema:
    """Return a node that checks types and runs no validator of the user's own."""
    if "function" in node and is_foreign(function_of(node)):
        if node["type"] == "function-after" or _is_of_a_model(node):
            return without_validators(node["schema"])
        return ANY
    made = mapped(node, without_validators)
    if made["type"] in {"model", "dataclass"}:
        made = {**made, "custom_init": False} if made["type"] == "model" else made
        made.pop("post_init", None)
    return made


def _plain(function: Any) -> Schema:
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def _refuse(_: Any) -> NoReturn:
    raise PydanticCustomError("read_only", "This field is read-only")


def _named(kind: Any) -> str:
    return kind.__name__ if type(kind) is type else str(kind).replace("typing.", "")
