"""The entity of a patch class, and the class attributes that keep it."""

import inspect
from typing import Any, Final

from pydantic import BaseModel

__all__ = ["ENTITY", "NESTED", "entity_of", "is_patch"]

ENTITY: Final = "__roadworthy_entity__"
"""Class attribute of a derived patch: its entity."""

NESTED: Final = "__roadworthy_nested__"
"""Class attribute of a patch: the patches of nested models that it declares, by field."""


def is_patch(kind: Any) -> bool:
    """Return whether a type is the patch of an entity."""
    return inspect.isclass(kind) and hasattr(kind, ENTITY)


def entity_of(kind: type[Any]) -> type[BaseModel]:
    """Return the entity that a patch class was derived from."""
    entity: type[BaseModel] | None = getattr(kind, ENTITY, None)
    if entity is None:
        raise TypeError(f"{kind.__name__} is a patch of nothing: write Patch[Item].")
    return entity
