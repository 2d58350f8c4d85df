"""Dataclass fields with `init=False`, which no input sets.

A class with `__post_init__` makes them anew of the others. Of one without, they are the
default, or what somebody has set since, which only the object itself can keep.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from roadworthy.patching.schema.nodes import per_class
from roadworthy.patching.values.copies import copied

__all__ = ["copy_init_false", "differing_init_false"]


def copy_init_false(current: Any, after: Any) -> None:
    """Copy the `init=False` fields of `current` to `after`."""
    for field in _made_once(type(after)):  # pyright: ignore[reportUnknownArgumentType]
        if hasattr(current, field.name):
            object.__setattr__(after, field.name, copied(getattr(current, field.name)))


def differing_init_false(value: Any) -> Iterator[str]:
    """Yield the `init=False` fields that differ from those of a new object."""
    for field in _made_once(type(value)):  # pyright: ignore[reportUnknownArgumentType]
        if hasattr(value, field.name) and getattr(value, field.name) != _default(field):
            yield field.name


@per_class
def _made_once(kind: type[Any]) -> list[dataclasses.Field[Any]]:
    if not dataclasses.is_dataclass(kind) or hasattr(kind, "__post_init__"):
        return []
    return [field for field in dataclasses.fields(kind) if not field.init]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    # Pydantic's own way to write a default is a `Field(...)`.
    return getattr(field.default, "default", field.default)
