"""`same`: compare what came back from JSON with what was sent, by moments in time.

PEP 495: times of two zones are never equal while one of them is in an hour that its zone
has twice, or never. The same moment is the same argument all the same.
"""

import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from pydantic import BaseModel

__all__ = ["instant", "members", "same"]

_START: Final = datetime(1, 1, 1)  # noqa: DTZ001 - offsets are taken off by hand
_LISTS: Final = (list, tuple, deque)
_SETS: Final = (set, frozenset)


def same(sent: object, received: object) -> bool:
    """Return whether two values are equal, and times in them the same moments."""
    if isinstance(sent, datetime) and isinstance(received, datetime):
        return instant(sent) == instant(received)
    if type(sent) is not type(received):
        return bool(sent == received)
    if (fields := members(sent)) is not None:
        return _same_mappings(fields, members(received) or {})
    if isinstance(sent, _LISTS):
        return _same_lists(cast("Sequence[object]", sent), cast("Sequence[object]", received))
    if isinstance(sent, _SETS):
        ours, theirs = cast("set[object]", sent), cast("set[object]", received)
        return {_hashable(one) for one in ours} == {_hashable(one) for one in theirs}
    return bool(sent == received)


def instant(moment: datetime) -> tuple[bool, timedelta]:
    """Return what is equal for the same moment, and whether a zone says which that is."""
    offset = moment.utcoffset()
    since = moment.replace(tzinfo=None, fold=0) - _START  # never beyond the calendar
    return offset is not None, since - (offset or timedelta(0))


def members(value: object) -> Mapping[Any, Any] | None:
    """Return the members of a dict, a model or a dataclass by their names; else None."""
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value)
    if isinstance(value, BaseModel):
        fields = {name: value.__dict__.get(name) for name in type(value).model_fields}
        return {**fields, **(value.__pydantic_extra__ or {}), **(value.__pydantic_private__ or {})}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _same_mappings(sent: Mapping[Any, Any], received: Mapping[Any, Any]) -> bool:
    there = {_hashable(key): value for key, value in received.items()}
    return len(sent) == len(there) and all(
        _hashable(key) in there and same(value, there[_hashable(key)])
        for key, value in sent.items()
    )


def _same_lists(sent: Sequence[object], received: Sequence[object]) -> bool:
    return len(sent) == len(received) and all(map(same, sent, received))


def _hashable(value: object) -> object:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, tuple):
        return tuple(_hashable(one) for one in cast("tuple[object, ...]", value))
    if isinstance(value, frozenset):
        return frozenset(_hashable(one) for one in cast("frozenset[object]", value))
    return value
