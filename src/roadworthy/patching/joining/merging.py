"""Lay a merge patch (RFC 7396) over what is there: what it names is sent, the rest is kept."""

# pyright: reportUnknownArgumentType=false

from collections.abc import Mapping
from typing import Any, cast

from pydantic import RootModel

from roadworthy.patching.joining.as_input import without_hidden
from roadworthy.patching.joining.merged import (
    ABSENT,
    KeptKey,
    KeptValue,
    MergedObject,
    NewObject,
    RefusedValue,
)
from roadworthy.patching.schema.fields import class_of, extras_of, has_fields, layout_of
from roadworthy.patching.schema.typed_dict_keys import (
    NOWHERE,
    SchemaPosition,
    shape_of,
    shape_of_root,
)
from roadworthy.patching.values.copies import copied
from roadworthy.patching.values.to_json import json_key

__all__ = ["keep", "kept_key", "laid_over", "new"]


def laid_over(current: Any, sent: Any, shape: SchemaPosition = NOWHERE) -> Any:
    """Return the parts of an outcome, or what was sent where it replaces what is there.

    `shape` tells how the keys of a typed dict are spelt.
    """
    if not isinstance(sent, dict):
        return sent
    document = cast("dict[str, Any]", sent)
    if has_fields(current):
        return _fields(current, document)
    if isinstance(current, RootModel):
        inside = laid_over(cast("Any", current).root, document, shape_of_root(current))
        return inside.of(current) if isinstance(inside, MergedObject) else inside
    if isinstance(current, Mapping):
        return _mapping(cast("Mapping[Any, Any]", current), document, shape)
    return new(document)


def _fields(current: Any, sent: dict[str, Any]) -> MergedObject:
    layout = layout_of(class_of(current))
    found = layout.values_of(current)
    parts = MergedObject(current)
    for key, value in sent.items():
        field = layout.by_key.get(key)
        if field is None:
            parts.put(key, new(value))  # refused as unknown, where it stands
        elif field.read_only:
            parts.put(key, RefusedValue(), field.name)
        else:
            shape = shape_of(layout, field) if isinstance(value, dict) else NOWHERE
            made = laid_over(found.get(field.name, ABSENT), value, shape)
            parts.put(key, made, field.name)
    keep(parts, found)
    parts.instead = lambda: without_hidden(parts, sent)
    return parts


def keep(parts: MergedObject, found: Mapping[str, Any]) -> None:
    """Keep the fields of an object that were not sent, and members that it has no field for."""
    layout = layout_of(class_of(parts.current))
    for name, key in layout.keepable:
        if name in found and name not in parts.names:
            parts[key] = KeptValue(found[name], parts)
    for name, value in extras_of(parts.current).items():
        parts.setdefault(name, KeptValue(value))


def _mapping(
    current: Mapping[Any, Any], sent: dict[str, Any], shape: SchemaPosition
) -> MergedObject:
    parts, spelt = MergedObject(current), shape.spelling_in(current)
    found = {json_key(key): (key, value) for key, value in current.items()}
    for name, (key, value) in found.items():
        parts[spelt[name].inputs[0] if name in spelt else kept_key(key)] = KeptValue(value)
    names = {key: spelling for spelling in spelt.values() for key in spelling.inputs}
    for key, value in sent.items():
        name, first = (names[key].key, names[key].inputs[0]) if key in names else (key, key)
        if value is None or key != first:
            parts.pop(first, None)
        if value is None:
            parts.sent.add(key)
            parts.names.add(name)
        else:
            there, before = found.get(name, (name, ABSENT))
            parts.put(key, laid_over(before, value, shape.of_key(current, there)), name)
    parts.instead = lambda: without_hidden(parts, sent)
    return parts


def kept_key(key: Any) -> KeptKey:
    """Return the JSON spelling of a key that is kept."""
    made = KeptKey(json_key(key))
    made.key = copied(key)
    return made


def new(value: Any) -> Any:
    """Return an object of a merge patch that meets nothing."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return NewObject({key: new(item) for key, item in pairs})
    return value
