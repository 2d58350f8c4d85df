"""Tell what is stored, and what comes out, in the form in which a POST would bring it."""

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
from roadworthy.patching.values.to_json import SECRETS, json_key, written, written_field

__all__ = ["as_input", "merged_with", "stored", "without_hidden"]


def stored(parts: Any) -> Any:
    """Return what is there before the patch, as input."""
    return written(parts.current)


def as_input(value: Any) -> Any:
    """Return the outcome of a patch as input: what is kept is written, the rest is as sent."""
    match value:
        case KeptValue() | MovedValue():
            return written(value.value)
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
        return written_field(class_of(parts.current), field.name, part.value)
    return as_input(part)


def _field(parts: MergedObject, key: str) -> SchemaField | None:
    if not has_fields(parts.current):
        return None
    return layout_of(class_of(parts.current)).by_key.get(key)


def without_hidden(parts: MergedObject, sent: Mapping[str, Any]) -> NewObject:
    """Return the outcome as input for another type: what answers hide does not go along."""
    kept = {str(key): _shown(parts, key) for key in parts if type(parts[key]) is KeptValue}
    before = {str(key): _open(parts.current, key) for key in parts.sent if key not in kept}
    return cast("NewObject", merged_with(NewObject(before | kept), sent))


def _shown(parts: MergedObject, key: str) -> Any:
    field = _field(parts, key)
    if field is None:
        return _opened(parts[key].value)
    if field.hidden:
        return HiddenValue()
    return written_field(class_of(parts.current), field.name, parts[key].value)


def _open(current: Any, key: str) -> Any:
    """Return the input form of what stood where something was sent."""
    if has_fields(current):
        layout = layout_of(class_of(current))
        field = layout.by_key.get(key)
        if field is None or field.hidden:
            return None
        return written_field(
            class_of(current), field.name, layout.values_of(current).get(field.name)
        )
    found = {json_key(k): v for k, v in cast("Mapping[Any, Any]", current).items()}
    return _opened(found.get(key))


def _opened(value: Any) -> Any:
    """Return the input form of a value, with hidden fields of objects inside marked."""
    if has_fields(value):
        layout = layout_of(class_of(value))
        found = layout.values_of(value)
        return {
            field.keys[0]: HiddenValue()
            if field.hidden
            else written_field(class_of(value), name, found[name])
            for name, field in layout.fields.items()
            if name in found and not field.made
        }
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {json_key(key): _opened(item) for key, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_opened(item) for item in cast("list[Any]", value)]
    return HiddenValue() if isinstance(value, SECRETS) else written(value)


def merged_with(target: Any, sent: Any) -> Any:
    """Return what RFC 7396 makes of both, as an object to be read anew."""
    if not isinstance(sent, Mapping):
        return sent
    made = NewObject(cast("dict[str, Any]", target) if isinstance(target, dict) else {})
    for key, value in cast("Mapping[str, Any]", sent).items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged_with(made.get(key), value)
    return made
