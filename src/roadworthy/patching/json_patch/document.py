"""The JSON document that operations work on: the JSON of answers, tied to values.

Operations see JSON, as GET shows it. Each piece knows the value that it shows, so what
an operation leaves in its place is that value afterwards, and not what was shown of it.
"""

# pyright: reportUnknownArgumentType=false

import copy
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, cast

from pydantic import BaseModel, RootModel
from pydantic_core import to_jsonable_python

from roadworthy.patching.joining.merged import ABSENT
from roadworthy.patching.schema.fields import class_of, extras_of, has_fields, layout_of
from roadworthy.patching.schema.typed_dict_keys import (
    NOWHERE,
    KeyNames,
    SchemaPosition,
    position_of,
    position_of_root,
)
from roadworthy.patching.values.to_json import SECRETS, json_key

__all__ = ["Node", "ShownArray", "ShownLeaf", "ShownObject", "plain", "same", "same_json", "shown"]


class ShownLeaf:
    """A JSON value without members, and the Python value that it shows."""

    __slots__ = ("hidden", "shown", "value")

    def __init__(self, shown: Any, value: Any, *, hidden: bool = False) -> None:
        self.shown, self.value, self.hidden = shown, value, hidden

    def __deepcopy__(self, _: Any) -> "ShownLeaf":
        return self

    @property
    def origin(self) -> object:
        """The identity that a piece has in common with its copies."""
        return self


class ShownObject(dict[str, Any]):
    """A JSON object, its members before the patch, and the value that it shows."""

    def __init__(self, pieces: Mapping[str, Any], value: Any, *, hidden: bool = False) -> None:
        super().__init__(pieces)
        self.first: Mapping[str, Any] = dict(pieces)
        self.value, self.hidden = value, hidden
        self.key_names: Mapping[str, KeyNames] = {}
        """Of a typed dict: how JSON calls its keys."""
        self.origin: object = self
        self.replaced = False
        """True where a new object came in its place: what that lacks has its default."""

    def with_pieces(self, pieces: Mapping[str, Any], *, replaced: bool) -> "ShownObject":
        """Return the same object with other members."""
        made = ShownObject(pieces, self.value, hidden=self.hidden)
        made.first, made.origin, made.replaced = self.first, self.origin, replaced
        made.key_names = self.key_names
        return made

    def __deepcopy__(self, memo: Any) -> "ShownObject":
        pieces = {key: copy.deepcopy(piece, memo) for key, piece in self.items()}
        return self.with_pieces(pieces, replaced=self.replaced)


class ShownArray(list[Any]):
    """A JSON array, its items before the patch, and the value that it shows."""

    def __init__(self, pieces: list[Any], value: Any, *, hidden: bool = False) -> None:
        super().__init__(pieces)
        self.first = tuple(pieces)
        self.value, self.hidden = value, hidden
        self.origin: object = self

    def __deepcopy__(self, memo: Any) -> "ShownArray":
        made = ShownArray([copy.deepcopy(p, memo) for p in self], self.value, hidden=self.hidden)
        made.first, made.origin = self.first, self.origin
        return made


Node: TypeAlias = ShownLeaf | ShownObject | ShownArray
"""A piece of JSON with the value that it shows."""


def shown(current: BaseModel) -> ShownObject:
    """Return the JSON that answers show of a resource, tied to its values."""
    names = layout_of(class_of(current)).values_of(current)  # loads what an ORM has not loaded
    node = _tied(_dumped(current, names), current)
    return node if isinstance(node, ShownObject) else ShownObject({}, current, hidden=True)


def _dumped(current: BaseModel, names: Mapping[str, Any]) -> Any:
    dump = current.__pydantic_serializer__.to_python
    try:
        return dump(current, mode="json", by_alias=True, warnings="none")
    except Exception:  # a serializer of the user's, or bytes that are no text
        return _dumped_one_by_one(dump, current, names)


def _dumped_one_by_one(dump: Any, current: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    computed = cast("Mapping[str, Any]", class_of(current).model_computed_fields)
    for name in (*names, *computed):
        with suppress(Exception):  # as above: this one cannot be shown
            found |= dump(current, mode="json", by_alias=True, include={name}, warnings="none")
    return found


def _tied(json: Any, value: Any, position: SchemaPosition = NOWHERE) -> Node:
    if isinstance(value, RootModel):
        inside = _tied(json, cast("Any", value).root, position_of_root(value))
        made = copy.copy(inside)
        made.value = value
        return _as_origin(made, inside)
    if isinstance(json, dict):
        return _tied_object(cast("dict[str, Any]", json), value, position)
    if isinstance(json, list):
        return _tied_array(cast("list[Any]", json), value, position)
    return ShownLeaf(json, value, hidden=_is_hidden(json, value))


def _as_origin(made: Any, inside: Any) -> Node:
    if isinstance(inside, ShownLeaf):
        return ShownLeaf(inside.shown, made.value, hidden=inside.hidden)
    made.first, made.origin, made.hidden = inside.first, made, inside.hidden
    return cast("Node", made)


def _tied_object(json: dict[str, Any], value: Any, position: SchemaPosition) -> Node:
    if has_fields(value):
        return _tied_fields(json, value)
    if isinstance(value, Mapping):
        return _tied_members(json, cast("Mapping[Any, Any]", value), position)
    return _opaque(json, value)


def _tied_members(json: dict[str, Any], value: Mapping[Any, Any], position: SchemaPosition) -> Node:
    key_names = position.key_names_in(value)
    found = {key_names[k].output if k in key_names else json_key(k): k for k in value}
    if found.keys() != json.keys():
        return _opaque(json, value)
    pieces = {
        name: _tied(item, value[found[name]], position.of_key(value, found[name]))
        for name, item in json.items()
    }
    made = ShownObject(pieces, value, hidden=_any_hidden(pieces.values()))
    made.key_names = key_names
    return made


def _tied_fields(json: dict[str, Any], value: Any) -> ShownObject:
    layout = layout_of(class_of(value))
    found = layout.values_of(value) | {f"+{k}": v for k, v in extras_of(value).items()}
    pieces: dict[str, Any] = {}
    for key, item in json.items():
        field = layout.by_output.get(key)
        there = found.get(field.name if field else f"+{key}", ABSENT)
        position = position_of(layout, field) if field else NOWHERE
        pieces[key] = ShownLeaf(item, item) if there is ABSENT else _tied(item, there, position)
    complete = all(output in json for output in layout.by_output)
    return ShownObject(pieces, value, hidden=not complete or _any_hidden(pieces.values()))


def _tied_array(json: list[Any], value: Any, position: SchemaPosition) -> Node:
    items = list(cast("Any", value)) if isinstance(value, list | tuple | set | frozenset) else None
    if items is None or len(items) != len(json):
        return _opaque(json, value)
    pieces = [
        _tied(item, there, position.of_item(index))
        for index, (item, there) in enumerate(zip(json, items, strict=True))
    ]
    return ShownArray(pieces, value, hidden=_any_hidden(pieces))


def _opaque(json: Any, value: Any) -> ShownLeaf:
    return ShownLeaf(json, value, hidden=True)


def _any_hidden(pieces: Any) -> bool:
    return any(piece.hidden for piece in pieces)


def _is_hidden(json: Any, value: Any) -> bool:
    if isinstance(value, SECRETS):
        return True
    try:
        return not same_json(to_jsonable_python(value), json)
    except Exception:  # a type without a JSON form of its own, or a serializer that fails
        return True


def plain(piece: Any) -> Any:
    """Return the plain JSON of a piece, as answers show it."""
    match piece:
        case ShownLeaf():
            return piece.shown
        case dict():
            return {key: plain(item) for key, item in cast("dict[str, Any]", piece).items()}
        case list():
            return [plain(item) for item in cast("list[Any]", piece)]
        case _:
            return piece


def same(piece: Any, first: Node) -> bool:
    """Return whether a piece is the one from before the patch, or shows the same."""
    if isinstance(piece, ShownLeaf | ShownObject | ShownArray):
        return piece.origin is first.origin and all(_unchanged(piece))
    return same_json(piece, plain(first))


def _unchanged(piece: Node) -> Iterator[bool]:
    match piece:
        case ShownObject():
            yield piece.keys() == piece.first.keys()
            yield from (same(item, piece.first[k]) for k, item in piece.items() if k in piece.first)
        case ShownArray():
            yield len(piece) == len(piece.first)
            yield from (same(item, was) for item, was in zip(piece, piece.first, strict=False))
        case ShownLeaf():
            pass


def same_json(old: Any, new: Any) -> bool:
    """Return whether two JSON values are equal; 1 and true are not."""
    match old, new:
        case dict(), dict():
            one, two = cast("tuple[dict[str, Any], dict[str, Any]]", (old, new))
            return one.keys() == two.keys() and all(same_json(one[k], two[k]) for k in one)
        case list(), list():
            left, right = cast("tuple[list[Any], list[Any]]", (old, new))
            return len(left) == len(right) and all(map(same_json, left, right))
        case _:
            return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
