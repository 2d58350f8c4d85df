"""Refuse, when a patch class is made, values that a JSON column cannot give back."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from roadworthy.patching.schema.fields import SchemaField, layout_of
from roadworthy.patching.schema.nodes import Schema, children, is_foreign

__all__ = ["refuse_unsupported"]


def refuse_unsupported(entity: type[Any]) -> None:
    """Refuse an entity with values that no patch could write to a JSON column.

    Raises:
        TypeError: It names the field, and what to type.
    """
    for name, field in layout_of(entity).fields.items():
        if field.server:
            continue
        for problem in _inside(field.node, f"{entity.__name__}.{name}", frozenset({entity})):
            raise TypeError(problem)


def _inside(node: Schema, place: str, seen: frozenset[Any]) -> Iterator[str]:
    if node["type"] in {"model", "dataclass"} and not node.get("root_model"):
        if node["cls"] not in seen:
            yield from _of_class(node["cls"], seen | {node["cls"]})
        return
    if node["type"] == "dict" and "values_schema" in node:
        yield from _no_json(node["values_schema"], place)
    for child in children(node):
        yield from _inside(child, place, seen)


def _of_class(kind: type[Any], seen: frozenset[Any]) -> Iterator[str]:
    layout = layout_of(kind)
    for name, field in layout.fields.items():
        place = f"{kind.__name__}.{name}"
        yield from _of_field(kind, field, place)
        yield from _inside(field.node, place, seen)


def _of_field(kind: type[Any], field: SchemaField, place: str) -> Iterator[str]:
    if field.path_only:
        yield (
            f"{place} is read at an AliasPath only, so no patch can write it inside of JSON. "
            "Write validation_alias=AliasChoices('a_name', AliasPath(...))."
        )
    if dataclasses.is_dataclass(kind) and field.name not in {
        f.name for f in dataclasses.fields(kind)
    }:
        yield (
            f"{place} is an InitVar: an object does not keep it, so no patch can write it again. "
            "Make it a field, or hold the object in a column of its own."
        )
    yield from _no_json(field.node, place)


def _no_json(node: Schema, place: str) -> Iterator[str]:
    """Yield an error where values of a node are of a class without a JSON form."""
    while node["type"] in {"default", "nullable"}:
        node = node["schema"]
    if node["type"] not in {"is-instance", "callable", "is-subclass"} or "serialization" in node:
        return
    if is_foreign(node.get("cls")) or node["type"] != "is-instance":
        yield (
            f"{place} holds values without a JSON form, so no patch can write them to a column. "
            "Give the type a validator and a serializer (Pydantic's __get_pydantic_core_schema__), "
            "or mark the field at the top with ReadOnly."
        )
