"""The JSON names of a typed dict's keys, where aliases differ from the keys.

A typed dict is a plain dict: only the node of the field that it stands in knows of aliases.
"""

# pyright: reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import RootModel

from roadworthy.patching.schema.fields import ClassLayout, SchemaField, input_names, layout_of
from roadworthy.patching.schema.nodes import Schema, any_node, per_class, with_definitions

__all__ = ["NOWHERE", "KeyNames", "SchemaPosition", "position_of", "position_of_root"]


@dataclass(frozen=True, slots=True)
class KeyNames:
    """The names of one key of a typed dict, in input and in answers."""

    key: str
    inputs: tuple[str, ...]
    """What clients may call it; the first stands in JSON columns."""
    output: str
    """What an answer calls it."""


@dataclass(frozen=True, slots=True, eq=False)
class SchemaPosition:
    """The schema nodes that a value may be validated by, one for each union arm."""

    nodes: tuple[Schema, ...]
    definitions: list[Schema]

    def key_names_in(self, current: Any) -> Mapping[str, KeyNames]:
        """Return the names of the keys that `current` may have, by key."""
        node = self._typed_dict(current)
        return {} if node is None else _key_names(node)

    def of_key(self, current: Any, key: Any) -> "SchemaPosition":
        """Return the position of a member of a mapping."""
        if not self.nodes:
            return self
        node = self._typed_dict(current)
        if node is not None:
            return self._inside([node["fields"][key]["schema"]] if key in node["fields"] else [])
        return self._inside(n["values_schema"] for n in self.nodes if "values_schema" in n)

    def of_item(self, index: int) -> "SchemaPosition":
        """Return the position of an item of an array."""
        return self._inside(_item(n, index) for n in self.nodes if "items_schema" in n)

    def _typed_dict(self, current: Any) -> Schema | None:
        found = (n for n in self.nodes if n["type"] == "typed-dict" and _fits(n, current))
        return next(found, None)

    def _inside(self, nodes: Any) -> "SchemaPosition":
        arms = (arm for node in nodes for arm in _arms(node, self.definitions))
        return SchemaPosition(tuple(arms), self.definitions)


NOWHERE: Final = SchemaPosition((), [])
"""Of what no typed dict with aliases is in."""


def position_of(layout: ClassLayout, field: SchemaField) -> SchemaPosition:
    """Return the schema position of a field's value."""
    if not _has_aliases(layout.kind):
        return NOWHERE
    return SchemaPosition(tuple(_arms(field.node, layout.definitions)), layout.definitions)


def position_of_root(current: RootModel[Any]) -> SchemaPosition:
    """Return the schema position of a root model's value."""
    layout = layout_of(type(current))
    return position_of(layout, layout.fields["root"])


@per_class
def _has_aliases(kind: type[Any]) -> bool:
    layout = layout_of(kind)
    return any_node(with_definitions(layout.schema, layout.definitions), _is_spelt_otherwise)


def _is_spelt_otherwise(node: Schema) -> bool:
    return node["type"] == "typed-dict" and any(
        "validation_alias" in field or "serialization_alias" in field
        for field in node["fields"].values()
    )


def _arms(node: Schema, definitions: list[Schema]) -> Iterator[Schema]:
    match node["type"]:
        case "definition-ref":
            found = next(d for d in definitions if d["ref"] == node["schema_ref"])
            yield from _arms(found, definitions)
        case "union" | "tagged-union":
            choices: Any = node["choices"]
            for arm in choices.values() if isinstance(choices, dict) else choices:
                yield from _arms(arm[0] if isinstance(arm, tuple) else arm, definitions)
        case "model" | "dataclass":
            return  # what is in it, its own class tells
        case _ if "schema" in node:
            yield from _arms(node["schema"], definitions)
        case _:
            yield node


def _fits(node: Schema, current: Any) -> bool:
    return isinstance(current, Mapping) and cast("Mapping[str, Any]", current).keys() <= set(
        node["fields"]
    )


def _key_names(node: Schema) -> dict[str, KeyNames]:
    config = cast("Schema", node.get("config") or {})
    return {
        key: KeyNames(
            key, input_names(key, field, config) or (key,), field.get("serialization_alias") or key
        )
        for key, field in node["fields"].items()
    }


def _item(node: Schema, index: int) -> Schema:
    items: Any = node["items_schema"]
    if isinstance(items, list):
        variadic = node.get("variadic_item_index", len(items))
        return cast("Schema", items[min(index, variadic, len(items) - 1)])
    return cast("Schema", items)
