"""The fields of a class by its core schema: names, aliases, and which are hidden.

A class is a model, or a dataclass inside one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, RootModel, Secret, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from roadworthy.patching.schema.nodes import Schema, any_node, is_foreign, per_class

__all__ = [
    "ClassLayout",
    "ReadOnly",
    "SchemaField",
    "class_of",
    "extras_of",
    "has_fields",
    "input_names",
    "is_read_only",
    "is_secret",
    "json_name",
    "layout_of",
]


@dataclass(frozen=True, slots=True)
class _ReadOnly:
    """Mark a field as read-only: `created_at: Annotated[datetime, ReadOnly]`."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "readOnly": True}


ReadOnly = _ReadOnly()
"""Refuse a field in every patch: `id: Annotated[str, ReadOnly]`.

`Field(json_schema_extra={"readOnly": True})` and computed fields mean the same. So does
`Field(frozen=True)` for an existing object; a new object still takes the value.
"""


@dataclass(frozen=True, slots=True, eq=False)
class SchemaField:
    """One field of a class: its names in patches and answers, and its node."""

    name: str
    keys: tuple[str, ...]
    """The names in input; the first is documented, and used in JSON columns."""
    output: str
    """The name in answers, and so in a JSON Patch."""
    node: Schema
    excluded: bool = False
    """Whether answers leave the field out, always or under a condition."""
    frozen: bool = False
    server: bool = False
    """Whether the field is marked with `ReadOnly`."""
    path_only: bool = False
    """Whether input has the field only at a path, and under no name."""
    made: bool = False
    """Whether a dataclass makes the field itself (`init=False`), so that no input has it."""

    @property
    def read_only(self) -> bool:
        """Whether no patch may name the field in an existing object."""
        return self.server or self.frozen or self.made

    @property
    def hidden(self) -> bool:
        """Whether answers do not show the field as it is."""
        return self.excluded or any_node(self.node, _shows_otherwise)


@dataclass(frozen=True, slots=True, eq=False)
class ClassLayout:
    """The core schema of a class, and its fields by name."""

    kind: type[Any]
    schema: Schema
    definitions: list[Schema]
    config: Schema
    fields: Mapping[str, SchemaField]
    by_key: Mapping[str, SchemaField]
    """The fields by each name that clients may use."""
    by_output: Mapping[str, SchemaField]
    """The fields by the names that answers show."""
    keepable: tuple[tuple[str, str], ...]
    """The fields that input has, by name, and what JSON columns call them."""
    computed: frozenset[str]
    """What answers show of computed fields, by name."""

    def values_of(self, current: Any) -> dict[str, Any]:
        """Return the values of an object by field name, unread."""
        stored: dict[str, Any] = getattr(current, "__dict__", {})
        # Reading a deprecated field warns. Columns that are not loaded yet, and slots, are read.
        return {
            name: stored[name] if name in stored else getattr(current, name)
            for name in self.fields
            if name in stored or self._is_read_by_name(current, name)
        }

    def _is_read_by_name(self, current: Any, name: str) -> bool:
        if isinstance(current, BaseModel) and not hasattr(self.kind, "__mapper__"):
            return False
        return hasattr(current, name)


@per_class
def layout_of(kind: type[Any]) -> ClassLayout:
    """Return the layout of a model or dataclass."""
    schema, definitions = _schema_of(kind), list[Schema]()
    if schema["type"] == "definitions":
        schema, definitions = schema["schema"], cast("list[Schema]", schema["definitions"])
    model = _find(schema, definitions, ("model", "dataclass"))
    inside = _inside(model, definitions)
    config = cast("Schema", model.get("config") or {})
    fields = {name: _field(kind, name, node, config) for name, node in _nodes(inside)}
    return ClassLayout(
        kind=kind,
        schema=schema,
        definitions=definitions,
        config=config,
        fields=fields,
        by_key={key: field for field in fields.values() for key in field.keys},
        by_output={field.output: field for field in fields.values()},
        keepable=tuple((name, f.keys[0]) for name, f in fields.items() if not f.made),
        computed=_computed(inside),
    )


def _schema_of(kind: type[Any]) -> Schema:
    if issubclass(kind, BaseModel):
        if not kind.__pydantic_complete__:
            kind.model_rebuild()
        return cast("Schema", kind.__pydantic_core_schema__)
    return cast("Schema", TypeAdapter(kind).core_schema)


def _inside(model: Schema, definitions: list[Schema]) -> Schema:
    if model.get("root_model"):
        return {"type": "model-fields", "fields": {"root": {"schema": model["schema"]}}}
    return _find(model["schema"], definitions, ("model-fields", "dataclass-args"))


def _find(node: Schema, definitions: list[Schema], types: tuple[str, ...]) -> Schema:
    while node["type"] not in types:
        if node["type"] == "definition-ref":
            node = next(d for d in definitions if d["ref"] == node["schema_ref"])
        else:
            node = node["schema"]
    return node


def _nodes(inside: Schema) -> list[tuple[str, Schema]]:
    fields: Any = inside["fields"]
    if isinstance(fields, dict):
        return list(cast("dict[str, Schema]", fields).items())
    return [(node["name"], node) for node in cast("list[Schema]", fields)]


def _computed(inside: Schema) -> frozenset[str]:
    return frozenset(
        node.get("alias") or node["property_name"] for node in inside.get("computed_fields") or ()
    )


def _field(kind: type[Any], name: str, node: Schema, config: Schema) -> SchemaField:
    keys = input_names(name, node, config)
    return SchemaField(
        name=name,
        keys=keys or (name,),
        output=node.get("serialization_alias") or name,
        node=node["schema"],
        excluded=bool(node.get("serialization_exclude") or node.get("serialization_exclude_if")),
        frozen=bool(node.get("frozen")),
        server=is_read_only(_info(kind, name)),
        path_only=not keys,
        made=node.get("init") is False,
    )


def input_names(name: str, node: Schema, config: Schema) -> tuple[str, ...]:
    """Return the names that input has for a field, none if only a path leads there."""
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    alias: Any = node.get("validation_alias")
    if alias is None or not config.get("validate_by_alias", True):
        return (name,)
    paths: list[Any] = [[alias]] if isinstance(alias, str) else list(alias)
    paths = paths if isinstance(paths[0], list) else [paths]
    named = tuple(str(path[0]) for path in paths if len(path) == 1)
    return (*named, name) if by_name and name not in named else named


def json_name(name: str, node: Schema, config: Schema) -> str:
    """Return the name with which a field is written to JSON."""
    return (input_names(name, node, config) or (name,))[0]


def _info(kind: type[Any], name: str) -> FieldInfo | None:
    if issubclass(kind, BaseModel):
        return kind.model_fields.get(name)
    found: Any = getattr(kind, "__pydantic_fields__", {}).get(name)
    if found is None and dataclasses.is_dataclass(kind):
        found = FieldInfo.from_annotation(_annotation(kind, name))
    return cast("FieldInfo | None", found)


def _annotation(kind: type[Any], name: str) -> Any:
    try:
        return get_type_hints(kind, include_extras=True)[name]
    except NameError:
        return Any


def is_read_only(field: FieldInfo | None) -> bool:
    """Return whether a field is marked with `ReadOnly`."""
    if field is None:
        return False
    extra: Any = field.json_schema_extra
    marked = isinstance(extra, dict) and cast("dict[str, Any]", extra).get("readOnly") is True
    return marked or any(isinstance(item, _ReadOnly) for item in field.metadata)


def is_secret(node: Schema) -> bool:
    """Return whether a node is one of Pydantic's secret types."""
    shown: Any = node.get("serialization") or {}
    return any(shown.get("function") is masks for masks in _masks())


@cache
def _masks() -> tuple[Any, ...]:
    """Return the functions with which Pydantic masks its secrets."""
    schemas = [TypeAdapter(kind).core_schema for kind in (SecretStr, Secret[str])]
    shown: list[Any] = []

    def look(node: Schema) -> bool:
        shown.append(node.get("serialization"))
        return False

    for schema in schemas:
        any_node(cast("Schema", schema), look)
    return tuple(found["function"] for found in shown if found)


def _shows_otherwise(node: Schema) -> bool:
    shown: Any = node.get("serialization")
    if node.get("serialization_exclude") or node.get("serialization_exclude_if"):
        return True
    return bool(shown) and (is_secret(node) or is_foreign(shown.get("function", print)))


def class_of(value: Any) -> type[Any]:
    """Return the class of any value, typed."""
    return cast("type[Any]", type(value))


def extras_of(value: Any) -> dict[str, Any]:
    """Return the extra members that a model keeps beside its fields."""
    found: Any = getattr(value, "model_extra", None)
    return cast("dict[str, Any]", found or {})


def has_fields(value: Any) -> bool:
    """Return whether a value is a model or a dataclass, not a root model."""
    if isinstance(value, BaseModel):
        return not isinstance(value, RootModel)
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
