"""Lay a merge patch (RFC 7396) over what is there: what it names is sent, the rest is kept."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import RootModel

from roadworthy.patching._fields import class_of, extras_of, has_fields, layout_of
from roadworthy.patching._parts import ABSENT, Kept, KeptKey, New, Parts, Refused, copied
from roadworthy.patching._stored import without_hidden
from roadworthy.patching._write import json_key

__all__ = ["kept_key", "laid_over", "new"]


def laid_over(current: Any, sent: Any) -> Any:
    """Return the parts of an outcome, or what was sent where it replaces what is there."""
    if not isinstance(sent, dict):
        return sent
    document = cast("dict[str, Any]", sent)
    if has_fields(current):
        return _fields(current, document)
    if isinstance(current, RootModel):
        inside = laid_over(cast("Any", current).root, document)
        return inside.of(current) if isinstance(inside, Parts) else inside
    if isinstance(current, Mapping):
        return _mapping(cast("Mapping[Any, Any]", current), document)
    return new(document)


def _fields(current: Any, sent: dict[str, Any]) -> Parts:
    layout = layout_of(class_of(current))
    found = layout.values_of(current)
    parts = Parts(current)
    for key, value in sent.items():
        field = layout.by_key.get(key)
        if field is None:
            parts.put(key, new(value))  # refused as unknown, where it stands
        elif field.server or field.frozen:
            parts.put(key, Refused(), field.name)
        else:
            parts.put(key, laid_over(found.get(field.name, ABSENT), value), field.name)
    keep(parts, found)
    parts.instead = lambda: without_hidden(parts, sent)
    return parts


def keep(parts: Parts, found: Mapping[str, Any]) -> None:
    """Keep the fields of an object that were not sent, and members that it has no field for."""
    layout = layout_of(class_of(parts.current))
    for name, value in found.items():
        if name not in parts.names:
            parts[layout.fields[name].keys[0]] = Kept(value, parts)
    for name, value in extras_of(parts.current).items():
        parts.setdefault(name, Kept(value))


def _mapping(current: Mapping[Any, Any], sent: dict[str, Any]) -> Parts:
    parts = Parts(current)
    for key, value in current.items():
        parts[kept_key(key)] = Kept(value)
    for key, value in sent.items():
        if value is None:
            parts.pop(key, None)
            parts.sent.add(key)
        else:
            there = parts.get(key)
            before = there.value if isinstance(there, Kept) else ABSENT
            parts.put(key, laid_over(before, value))
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
        return New({key: new(item) for key, item in pairs})
    return value
