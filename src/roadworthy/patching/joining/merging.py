"""Merge an RFC 7396 document with the current value: unnamed members are kept.

Objects merge, at any depth; a list is replaced as a whole, as RFC 7396 §2 has it. To merge lists
in another way, such as by the ids of their items, begin with `merge_over`, and with the member
that stands for the field in `deriving/members.py`.
"""

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
    position_of,
    position_of_root,
)
from roadworthy.patching.values.copies import copied
from roadworthy.patching.values.to_json import json_key

__all__ = ["keep_unsent", "kept_key", "merge_over", "new"]


def merge_over(current: Any, sent: Any, position: SchemaPosition = NOWHERE) -> Any:
    """Return the merged value, or what was sent where it replaces the current one.

    `position` tells how JSON spells the keys of a typed dict.
    """
    if not isinstance(sent, dict):
        return sent
    document = cast("dict[str, Any]", sent)
    if has_fields(current):
        return _fields(current, document)
    if isinstance(current, RootModel):
        inside = merge_over(cast("Any", current).root, document, position_of_root(current))
        return inside.of(current) if isinstance(inside, MergedObject) else inside
    if isinstance(current, Mapping):
        return _mapping(cast("Mapping[Any, Any]", current), document, position)
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
            position = position_of(layout, field) if isinstance(value, dict) else NOWHERE
            made = merge_over(found.get(field.name, ABSENT), value, position)
            parts.put(key, made, field.name)
    keep_unsent(parts, found)
    parts.instead = lambda: without_hidden(parts, sent)
    return parts


def keep_unsent(parts: MergedObject, found: Mapping[str, Any]) -> None:
    """Add the fields of an object that were not sent, and its extra members."""
    layout = layout_of(class_of(parts.current))
    for name, key in layout.keepable:
        if name in found and name not in parts.names:
            parts[key] = KeptValue(found[name], parts)
    for name, value in extras_of(parts.current).items():
        parts.setdefault(name, KeptValue(value))


def _mapping(
    current: Mapping[Any, Any], sent: dict[str, Any], position: SchemaPosition
) -> MergedObject:
    parts, key_names = MergedObject(current), position.key_names_in(current)
    found = {json_key(key): (key, value) for key, value in current.items()}
    for name, (key, value) in found.items():
        parts[key_names[name].inputs[0] if name in key_names else kept_key(key)] = KeptValue(value)
    names = {key: entry for entry in key_names.values() for key in entry.inputs}
    for key, value in sent.items():
        name, first = (names[key].key, names[key].inputs[0]) if key in names else (key, key)
        if value is None or key != first:
            parts.pop(first, None)
        if value is None:
            parts.sent.add(key)
            parts.names.add(name)
        else:
            there, before = found.get(name, (name, ABSENT))
            parts.put(key, merge_over(before, value, position.of_key(current, there)), name)
    parts.instead = lambda: without_hidden(parts, sent)
    return parts


def kept_key(key: Any) -> KeptKey:
    """Return the JSON spelling of a key that is kept."""
    made = KeptKey(json_key(key))
    made.key = copied(key)
    return made


def new(value: Any) -> Any:
    """Return a sent value whose JSON objects are marked as new."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return NewObject({key: new(item) for key, item in pairs})
    return value
