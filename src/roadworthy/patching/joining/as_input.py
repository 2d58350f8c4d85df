"""Write current values, and the outcome of a patch, in the form of a POST's input."""

from collections.abc import Mapping
from typing import Any, cast

from roadworthy.patching.joining.merged import (
    HiddenValue,
    KeptValue,
    MergedArray,
    MergedObject,
    MovedValue,
    NewObject,
    ValidatorInput,
)
from roadworthy.patching.schema.fields import SchemaField, class_of, has_fields, layout_of
from roadworthy.patching.values.to_json import SECRETS, field_to_json, json_key, to_json

__all__ = ["as_input", "current_as_input", "merged_with", "without_hidden"]


def current_as_input(parts: Any) -> Any:
    """Return the current value of a merged object, in the form of input."""
    return to_json(parts.current)


def as_input(value: Any) -> Any:
    """Return the outcome of a patch in the form of input: what is kept is written."""
    match value:
        case KeptValue() | MovedValue():
            return to_json(value.value)
        case MergedObject():
            return {str(key): _part(value, key) for key in value}
        case MergedArray() | list():
            return [as_input(item) for item in cast("list[Any]", value)]
        case ValidatorInput():
            return value.value
        case NewObject():
            return {key: as_input(part) for key, part in value.items() if part is not None}
        case _:
            return value


def _part(parts: MergedObject, key: str) -> Any:
    part = parts[key]
    field = _field(parts, key)
    if type(part) is KeptValue and field is not None:
        return field_to_json(class_of(parts.current), field.name, part.value)
    return as_input(part)


def _field(parts: MergedObject, key: str) -> SchemaField | None:
    if not has_fields(parts.current):
        return None
    return layout_of(class_of(parts.current)).by_key.get(key)


def without_hidden(parts: MergedObject, sent: Mapping[str, Any]) -> NewObject:
    """Return the outcome as input for another type, without hidden fields."""
    kept = {str(key): _shown(parts, key) for key in parts if type(parts[key]) is KeptValue}
    before = {str(key): _open(parts.current, key) for key in parts.sent if key not in kept}
    return cast("NewObject", merged_with(NewObject(before | kept), sent))


def _shown(parts: MergedObject, key: str) -> Any:
    field = _field(parts, key)
    if field is None:
        return _opened(parts[key].value)
    if field.hidden:
        return HiddenValue()
    return field_to_json(class_of(parts.current), field.name, parts[key].value)


def _open(current: Any, key: str) -> Any:
    """Return the input form of the current value that a sent part replaces."""
    if has_fields(current):
        layout = layout_of(class_of(current))
        field = layout.by_key.get(key)
        if field is None or field.hidden:
            return None
        return field_to_json(
            class_of(current), field.name, layout.values_of(current).get(field.name)
        )
    found = {json_key(k): v for k, v in cast("Mapping[Any, Any]", current).items()}
    return _opened(found.get(key))


def _opened(value: Any) -> Any:
    """Return the input form of a value, with hidden fields of objects marked."""
    if has_fields(value):
        layout = layout_of(class_of(value))
        found = layout.values_of(value)
        return {
            field.keys[0]: HiddenValue()
            if field.hidden
            else field_to_json(class_of(value), name, found[name])
            for name, field in layout.fields.items()
            if name in found and not field.made
        }
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {json_key(key): _opened(item) for key, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_opened(item) for item in cast("list[Any]", value)]
    return HiddenValue() if isinstance(value, SECRETS) else to_json(value)


def merged_with(target: Any, sent: Any) -> Any:
    """Return the RFC 7396 merge of two values, as a new object to be read."""
    if not isinstance(sent, Mapping):
        return sent
    made = NewObject(cast("dict[str, Any]", target) if isinstance(target, dict) else {})
    for key, value in cast("Mapping[str, Any]", sent).items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged_with(made.get(key), value)
    return made
