"""Copy plain containers, so that a change of one entity shows in no other."""

from typing import Any, cast

__all__ = ["copied"]


def copied(value: Any) -> Any:
    """Return a value whose plain containers are not those of the entity as it was."""
    kind: Any = cast("Any", type(value))
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is list:
        return [copied(item) for item in value]
    return set(value) if kind is set else value
