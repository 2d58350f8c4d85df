"""How each field of an entity takes part in a patch: one object for each kind of field.

A kind knows what is read of a field before the resource is known, how it is documented,
and how a subclass of the patch may declare it.
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
from roadworthy.patching.schema.nodes import Schema, function_of, is_foreign, mapped, standing

__all__ = [
    "Member",
    "ModelMember",
    "ObjectMember",
    "RawInputMember",
    "ReadOnlyMember",
    "ValueMember",
    "members_inside",
    "members_of",
    "typed",
]

ANY: Final[Schema] = {"type": "any"}
_READERS: Final = (BeforeValidator, PlainValidator, WrapValidator)


@dataclass(frozen=True, eq=False)
class Member:
    """One field of an entity, or one that is computed."""

    name: str
    keys: tuple[str, ...]
    layout: ClassLayout
    info: FieldInfo | None
    field: SchemaField | None

    @property
    def annotation(self) -> Any:
        """The entity's."""
        return Any if self.info is None else self.info.annotation

    @property
    def node(self) -> Schema:
        """Its core schema, without a default."""
        node = ANY if self.field is None else self.field.node
        return node["schema"] if node["type"] == "default" else node

    # What follows is for each kind to say.

    def shape(self) -> Schema:
        """Return the node that reads it in a patch, while the resource is not known."""
        raise NotImplementedError

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return its JSON schema in a patch; `nested` gives the patch of a model inside."""
        raise NotImplementedError

    def expected(self, nested: Any) -> list[Any]:
        """Return the types by which a subclass of the patch may declare it."""
        return [frozenset(map(bare, arms_of(self.annotation))) | self.ends]

    def line(self) -> str:
        """Return the line by which a subclass of the patch declares it."""
        return f"{self.name}: {' | '.join(map(_named, arms_of(self.annotation)))}{self.tail}"

    @property
    def ends(self) -> frozenset[Any]:
        """What a declaration adds to the arms of the type."""
        return frozenset({MISSING, None} if nullable(self.annotation) else {MISSING})

    @property
    def tail(self) -> str:
        """The same, as it is written."""
        return " | MISSING | None" if nullable(self.annotation) else " | MISSING"


class ValueMember(Member):
    """A field that is replaced."""

    def shape(self) -> Schema:
        """Return what reads its type; the entity's own validators come later, once."""
        return in_digits(typed(self.node))

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return the entity's own schema."""
        return handler(standing(self.node, self.layout.definitions))


class RawInputMember(ValueMember):
    """A field whose own validator reads the input, as in a POST."""

    def shape(self) -> Schema:
        """Return what takes anything."""
        return ANY

    def expected(self, nested: Any) -> list[Any]:
        """Return that nothing is known of what the client sent."""
        return [frozenset({MISSING, top}) for top in (Any, object)]

    def line(self) -> str:
        """Return a line for any value."""
        return f"{self.name}: object | MISSING"


class ObjectMember(ValueMember):
    """A field that is merged: what an object in it means is known once it meets the other."""

    def shape(self) -> Schema:
        """Return what takes objects as they are."""
        return _plain(self._kept_or_typed)

    def _kept_or_typed(self, value: Any) -> Any:
        return cast("Any", value) if isinstance(value, dict) else self._typed(value)

    def _typed(self, value: Any) -> Any:
        return self._validator.validate_json(json.dumps(value), strict=True, extra="forbid")

    @cached_property
    def _validator(self) -> SchemaValidator:
        definitions = [{**typed(d), "ref": d["ref"]} for d in self.layout.definitions]
        node = standing(super().shape(), definitions)
        return SchemaValidator(
            cast("Any", node), cast("Any", self.layout.config), _use_prebuilt=False
        )

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return a schema by which members may be absent, and null removes one."""
        schema = super().documented(handler, nested)
        made = dict(handler.resolve_ref_schema(schema))
        made.pop("required", None)
        items = made.get("additionalProperties")
        if isinstance(items, dict) and items:
            made["additionalProperties"] = {"anyOf": [items, {"type": "null"}]}
        return made

    def expected(self, nested: Any) -> list[Any]:
        """Return that objects are as they were sent."""
        arms = list(arms_of(self.annotation))
        sent = {bare(dict[str, Any]) if is_object(arm) else bare(arm) for arm in arms}
        whole = {bare(arm) for arm in arms if arm is Any or bare(arm) is dict}
        found = [frozenset(sent) | self.ends]
        return [*found, frozenset(map(bare, arms)) | self.ends] if whole else found

    def line(self) -> str:
        """Return a line with `dict[str, Any]` for objects."""
        arms = (
            "dict[str, Any]" if is_object(arm) else _named(arm) for arm in arms_of(self.annotation)
        )
        return f"{self.name}: {' | '.join(arms)}{self.tail}"


class ModelMember(ObjectMember):
    """A field that holds a model: its patch is one too."""

    @property
    def model(self) -> type[BaseModel]:
        """What the field holds."""
        return cast("type[BaseModel]", only_model(self.annotation))

    def documented(self, handler: Any, nested: Any) -> Any:
        """Return the entity's schema with the patch in place of the model."""

        def replaced(node: Schema) -> Schema:
            if self._is_model(node):
                return cast("Schema", nested(self))
            return mapped(node, replaced)

        return handler(standing(replaced(self.node), self.layout.definitions))

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
        """Return that the model is its patch."""
        arms = {"model" if arm is self.model else bare(arm) for arm in arms_of(self.annotation)}
        return [frozenset(arms) | self.ends] if nested else []

    def line(self) -> str:
        """Return a line with the patch of the model."""
        return f"{self.name}: Patch[{self.model.__name__}]{self.tail}"


class ReadOnlyMember(Member):
    """A field that only the server sets."""

    def shape(self) -> Schema:
        """Return what refuses anything."""
        return _plain(_refuse)

    def documented(self, handler: Any, nested: Any) -> Any:
        """Leave it out of the documentation."""
        raise PydanticOmit


@cache
def members_of(entity: type[BaseModel]) -> Mapping[str, Member]:
    """Return the members of an entity by field name, those that are computed too."""
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
def members_inside(entity: type[BaseModel]) -> Mapping[str, Member]:
    """Return the same for a model inside: a new one takes values of its frozen fields too."""
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
    """Return whether a validator of the user's own reads raw values of this field."""
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
    """Return whether a function is a model's own validator."""
    while "schema" in node and node["type"].startswith("function-"):
        node = node["schema"]
    return node["type"] in {"model", "dataclass", "model-fields", "dataclass-args"}


def typed(node: Schema) -> Schema:
    """Return a node that reads the types, and runs no function of the user's own."""
    if "function" in node and is_foreign(function_of(node)):
        if node["type"] == "function-after" or _is_of_a_model(node):
            return typed(node["schema"])
        return ANY
    made = mapped(node, typed)
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
