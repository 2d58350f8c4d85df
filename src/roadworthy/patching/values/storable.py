"""Find validated values that no row and no answer can carry.

The body was searched already; this finds what a validator made of it, such as
infinity of the text "Infinity".
"""

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from roadworthy._internal.read_json import BAD_TEXT

__all__ = ["Location", "not_storable"]

Location: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: names of members and indexes of items."""


_HARMLESS = frozenset({int, bool, date, datetime})
"""Types of single values that each row and each answer can carry."""


def not_storable(value: Any, loc: Location = ()) -> Iterator[Location]:
    """Yield the places of non-finite numbers, NUL and half surrogate pairs."""
    if value is None or type(value) in _HARMLESS:
        return
    if _is_bad(value):
        yield loc
    for key, child in _children(value):
        if isinstance(key, str) and BAD_TEXT.search(key):
            yield loc
        yield from not_storable(child, (*loc, key))


def _is_bad(value: Any) -> bool:
    match value:
        case float():
            return not isfinite(value)
        case Decimal():
            return not value.is_finite()
        case str():
            return BAD_TEXT.search(value) is not None
        case _:
            return False


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    match value:
        case BaseModel():
            yield from vars(value).items()
        case Mapping():
            yield from cast("Mapping[Any, Any]", value).items()
        case list() | tuple() | set() | frozenset():
            yield from enumerate(cast("list[Any]", value))
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        case _:
            pass
