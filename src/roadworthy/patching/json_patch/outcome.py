"""Tell kept, moved and sent values apart in a document after its operations."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import RootModel

from roadworthy.patching.joining.as_input import without_hidden
from roadworthy.patching.joining.merged import (
    ABSENT,
    KeptValue,
    MergedArray,
    MergedObject,
    MovedValue,
    RefusedValue,
)
from roadworthy.patching.joining.merging import keep_unsent, kept_key
from roadworthy.patching.json_patch.document import ShownArray, ShownLeaf, ShownObject, plain, same
from roadworthy.patching.schema.fields import ClassLayout, class_of, has_fields, layout_of
from roadworthy.patching.values.to_json import json_key

__all__ = ["merged_value", "replacing"]


def merged_value(piece: Any) -> Any:
    """Return the merged value for a piece of the document."""
    match piece:
        case ShownLeaf() if piece.value is ABSENT:
            made = piece.shown
        case ShownLeaf() | ShownObject() | ShownArray() if same(piece, piece):
            made = MovedValue(piece.value, _as_sent(piece), hidden=piece.hidden)
        case ShownObject():
            made = _changed(piece, piece.value)
        case ShownArray():
            made = _items(piece)
        case dict():
            made = _sent_object(cast("dict[str, Any]", piece))
        case list():
            made = _sent_array(cast("list[Any]", piece))
        case _:
            made = piece
    return made


def _as_sent(piece: Any) -> Any:
    """Return the JSON of a piece, in the form of input."""
    if isinstance(piece, ShownObject):
        key_names = {entry.output: entry.inputs[0] for entry in piece.key_names.values()}
        return {key_names.get(key, key): _as_sent(item) for key, item in piece.items()}
    if isinstance(piece, list):
        return [_as_sent(item) for item in cast("list[Any]", piece)]
    return plain(piece)


def _changed(piece: ShownObject, value: Any) -> Any:
    if isinstance(value, RootModel):
        inside = _changed(piece, cast("Any", value).root)
        return inside.of(value) if isinstance(inside, MergedObject) else inside
    if has_fields(value):
        return _fields(piece, value)
    return _members(piece, cast("Mapping[Any, Any]", value))


def _fields(piece: ShownObject, value: Any) -> MergedObject:
    layout, parts = layout_of(class_of(value)), MergedObject(value)
    for key, item in piece.items():
        was = piece.first.get(key)
        if was is None or not same(item, was):
            _put(parts, layout, key, merged_value(item))
    for key in piece.first.keys() - piece.keys():
        _remove(parts, layout, key, replaced=piece.replaced)
    keep_unsent(parts, layout.values_of(value))
    parts.instead = _instead(piece, parts)
    return parts


def _put(parts: MergedObject, layout: ClassLayout, key: str, value: Any) -> None:
    field = layout.by_output.get(key) or layout.by_key.get(key)
    if field is None:
        parts.put(key, RefusedValue())
    elif field.read_only:
        parts.put(field.keys[0], RefusedValue(), field.name)
    else:
        parts.put(key if key in field.keys else field.keys[0], value, field.name)


def _remove(parts: MergedObject, layout: ClassLayout, key: str, *, replaced: bool) -> None:
    field = layout.by_output.get(key)
    if field is not None and replaced and not field.read_only:
        parts.names.add(field.name)  # its default comes in
    elif field is None and replaced and key in layout.computed:
        pass  # nobody sends what is computed
    else:
        _put(parts, layout, key, None)


def _instead(piece: ShownObject, parts: MergedObject) -> Any:
    if piece.replaced:
        return lambda: plain(piece)
    sent = {key: plain(piece.get(key)) for key in piece if key not in piece.first}
    sent |= {
        key: plain(piece.get(key))
        for key, was in piece.first.items()
        if key not in piece or not same(piece[key], was)
    }
    return lambda: without_hidden(parts, sent)


def _members(piece: ShownObject, value: Mapping[Any, Any]) -> MergedObject:
    parts = MergedObject(value)
    key_names = {entry.output: entry for entry in piece.key_names.values()}
    there = {json_key(key): (kept_key(key), item) for key, item in value.items()}
    for key, item in piece.items():
        was = piece.first.get(key)
        name = key_names[key].key if key in key_names else key
        into = key_names[key].inputs[0] if key in key_names else there.get(key, (key,))[0]
        if was is not None and same(item, was):
            parts[into] = KeptValue(there[name][1])
        else:
            parts.put(into, merged_value(item), name)
    return parts


def _items(piece: ShownArray) -> MergedArray:
    first = {id(was.origin): index for index, was in enumerate(piece.first)}
    value: Any = piece.value
    value = cast("Any", value).root if isinstance(value, RootModel) else value
    stays = isinstance(value, tuple)  # each place of a tuple may have a type of its own
    items: list[Any] = []
    for index, item in enumerate(piece):
        before = first.get(id(getattr(item, "origin", None)))
        in_place = before is not None and (not stays or before == index)
        unchanged = in_place and same(item, piece.first[cast("int", before)])
        items.append(KeptValue(item.value) if unchanged else merged_value(item))
    return MergedArray(items, cast("Any", piece).value)


def _sent_object(document: dict[str, Any]) -> Any:
    if not any(map(_holds_pieces, document.values())):
        return document
    parts = MergedObject()
    for key, item in document.items():
        parts.put(key, merged_value(item))
    return parts


def _sent_array(document: list[Any]) -> Any:
    if not any(map(_holds_pieces, document)):
        return document
    return MergedArray([merged_value(item) for item in document])


def _holds_pieces(item: Any) -> bool:
    match item:
        case ShownLeaf() | ShownObject() | ShownArray():
            return True
        case dict():
            return any(map(_holds_pieces, cast("dict[str, Any]", item).values()))
        case list():
            return any(map(_holds_pieces, cast("list[Any]", item)))
        case _:
            return False


def replacing(target: Any, value: Any) -> Any:
    """Return the piece for a new object in place of one with fields.

    What answers do not show is not lost: the client cannot have sent it.
    """
    if not (isinstance(target, ShownObject) and isinstance(value, dict)):
        return value
    if not has_fields(target.value):
        return cast("Any", value)
    pieces: dict[str, Any] = {}
    for key, item in cast("dict[str, Any]", value).items():
        was = target.first.get(key)
        kept = was is not None and same(item, was)
        pieces[key] = was if kept else replacing(was, item)
    return target.with_pieces(pieces, replaced=True)
