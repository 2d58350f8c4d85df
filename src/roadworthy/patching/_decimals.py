"""Hold decimals in strings to digits: `Decimal` also takes `" 5 "` and `1_0`."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, get_args, get_origin

from pydantic import BaseModel

from roadworthy._internal.read_json import Json
from roadworthy.patching._members import arms_of, is_model, members_of

__all__ = ["misspelled"]

Loc: TypeAlias = tuple[str | int, ...]

_DIGITS = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?")
_ARRAYS = (list, set, frozenset, tuple)
_NOT_TEXT = frozenset({Decimal, int, float, bool})


def misspelled(entity: type[BaseModel], document: Json, loc: Loc = ()) -> Iterator[Loc]:
    """Yield where a document for this entity spells a decimal not in digits."""
    if not isinstance(document, dict):
        return
    for member in members_of(entity).values():
        for key in member.keys:
            if key in document and member.kind not in {"given", "read_only"}:
                yield from _in_value(list(arms_of(member.annotation)), document[key], (*loc, key))


def _in_value(arms: list[Any], value: Json, loc: Loc) -> Iterator[Loc]:
    if isinstance(value, str) and _takes_decimals_only(arms) and not _DIGITS.fullmatch(value):
        yield loc
    for model in filter(is_model, arms):
        yield from misspelled(model, value, loc)
    for key, item in _items_of(value):
        for child in _item_types(arms, Mapping if isinstance(value, dict) else _ARRAYS):
            yield from _in_value(child, item, (*loc, key))


def _items_of(value: Json) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _takes_decimals_only(arms: list[Any]) -> bool:
    text = [arm for arm in arms if arm not in _NOT_TEXT and not _holds_more(arm)]
    return Decimal in arms and not text


def _holds_more(arm: Any) -> bool:
    return get_origin(arm) is not None or is_model(arm)


def _item_types(arms: list[Any], kind: Any) -> Iterator[list[Any]]:
    for arm in arms:
        origin, args = get_origin(arm), get_args(arm)
        if isinstance(origin, type) and issubclass(origin, kind) and args:
            yield list(arms_of(args[-1 if kind is Mapping else 0]))
