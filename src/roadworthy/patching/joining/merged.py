"""Merged values: what a patch sent, and what it keeps, before validation.

Validators see these in place of plain JSON. What is `KeptValue` passes them untouched.
"""

from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "ABSENT",
    "HiddenValue",
    "KeptKey",
    "KeptValue",
    "MergedArray",
    "MergedObject",
    "MovedValue",
    "NewObject",
    "RefusedValue",
    "ValidatorInput",
]

ABSENT: Final[Any] = object()
"""In place of a value where there was none."""


class KeptValue:
    """A value that the patch did not send: validation passes it as it is."""

    __slots__ = ("beside", "value")

    def __init__(self, value: Any, beside: "MergedObject | None" = None) -> None:
        self.value, self.beside = value, beside


class MovedValue:
    """A value that a JSON Patch took from another place, and the JSON that shows it."""

    __slots__ = ("hidden", "shown", "value")

    def __init__(self, value: Any, shown: Any, *, hidden: bool) -> None:
        self.value, self.shown, self.hidden = value, shown, hidden


class ValidatorInput:
    """A value that a validator of the entity returned: validated as in a POST."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class HiddenValue:
    """Stands for a value that no answer shows, where the object becomes another."""


class RefusedValue:
    """Stands for a value that was sent for a read-only field."""


class KeptKey(str):
    """The JSON spelling of a key that a mapping has already."""

    __slots__ = ("key",)
    key: Any


class NewObject(dict[str, Any]):
    """A JSON object sent where none was: null in it leaves a member out."""

    def has_nulls(self) -> bool:
        """Return whether a member is null, at any depth outside of lists."""
        return any(v is None or (isinstance(v, NewObject) and v.has_nulls()) for v in self.values())


class MergedObject(dict[str, Any]):
    """A JSON object of sent members and `KeptValue`s."""

    def __init__(self, current: Any = ABSENT, instead: Callable[[], Any] | None = None) -> None:
        super().__init__()
        self.current = current
        self.instead = instead
        """What to read where the outcome is none of the type that is there now."""
        self.sent: set[str] = set()
        """Keys of what was sent."""
        self.names: set[str] = set()
        """Names of the fields that were sent."""

    def put(self, key: str, value: Any, name: str | None = None) -> None:
        """Add a member that was sent."""
        self[key] = value
        self.sent.add(key)
        self.names.add(name or key)

    def of(self, current: Any) -> "MergedObject":
        """Return the same members for another current value."""
        made = MergedObject(current, self.instead)
        made.update(self)
        made.sent, made.names = set(self.sent), set(self.names)
        return made


class MergedArray(list[Any]):
    """A JSON array of sent items and `KeptValue`s."""

    def __init__(self, items: list[Any], current: Any = ABSENT) -> None:
        super().__init__(items)
        self.current = current
        self.instead: Callable[[], Any] | None = None

    def of(self, current: Any) -> "MergedArray":
        """Return the same items for another current value."""
        return MergedArray(self, current)
