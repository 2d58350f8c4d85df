"""Hold decimals in strings to digits: Python's `Decimal` takes `" 5 "`, `1_0` and `٥` too."""

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
_NOT_TEXT = frozenset({Decimal, int, float, bool})


def misspelled(entity: type[BaseModel], document: Json, loc: Loc = ()) -> Iterator[Loc]:
    """Yield where a document for this entity spells a decimal in another way than digits."""
    if not isinstance(document, dict):
        return
    for member in members_of(entity).values():
        for key in member.keys:
            if key in document and member.kind not in {"given", "read_only"}:
                yield from _in_value(list(arms_of(member.annotation)), document[key], (*loc, key))


def _in_value(arms: list[Any], value: Json, loc: Loc) -> Iterator[Loc]:
    match value:
        case str():
            if _takes_decimals_only(arms) and not _DIGITS.fullmatch(value):
                yield loc
        case dict():
            for model in filter(is_model, arms):
                yield from misspelled(model, value, loc)
            for child in _items(arms, Mapping, last=True):
                for name, item in value.items():
                    yield from _in_value(child, item, (*loc, name))
        case list():
            for child in _items(arms, (list, set, frozenset, tuple), last=False):
                for index, item in enumerate(value):
                    yield from _in_value(child, item, (*loc, index))
        case _:
            pass


def _takes_decimals_only(arms: list[Any]) -> bool:
    text = [arm for arm in arms if arm not in _NOT_TEXT and not _holds_more(arm)]
    return Decimal in arms and not text


def _holds_more(arm: Any) -> bool:
    return get_origin(arm) is not None or is_model(arm)


def _items(arms: list[Any], kind: Any, *, last: bool) -> Iterator[list[Any]]:
    for arm in arms:
        origin, args = get_origin(arm), get_args(arm)
        if isinstance(origin, type) and issubclass(origin, kind) and args:
            yield list(arms_of(args[-1 if last else 0]))
