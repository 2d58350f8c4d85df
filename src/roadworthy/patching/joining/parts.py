"""What a patch makes of a value before validation: some parts sent, the others kept.

Validators see these in place of plain JSON. What is `Kept` passes them untouched.
"""

from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "ABSENT",
    "Given",
    "Hidden",
    "Items",
    "Kept",
    "KeptKey",
    "Moved",
    "New",
    "Parts",
    "Refused",
]

ABSENT: Final[Any] = object()
"""In place of a value where there was none."""


class Kept:
    """A value that nobody sent: it is what it was."""

    __slots__ = ("beside", "value")

    def __init__(self, value: Any, beside: "Parts | None" = None) -> None:
        self.value, self.beside = value, beside


class Moved:
    """A value that a JSON Patch took from another place, with what answers show of it."""

    __slots__ = ("hidden", "shown", "value")

    def __init__(self, value: Any, shown: Any, *, hidden: bool) -> None:
        self.value, self.shown, self.hidden = value, shown, hidden


class Given:
    """What a validator of the entity's own made of its input: read as in a POST."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Hidden:
    """In place of a value that no answer shows, where its place has changed."""


class Refused:
    """In place of what was sent for a field that is read-only."""


class KeptKey(str):
    """The JSON spelling of a key that a mapping had already."""

    __slots__ = ("key",)
    key: Any


class New(dict[str, Any]):
    """An object of a merge patch where none was: null in it leaves a member out."""

    def has_nulls(self) -> bool:
        """Return whether there is a null in it, at any depth outside of lists."""
        return any(v is None or (isinstance(v, New) and v.has_nulls()) for v in self.values())


class Parts(dict[str, Any]):
    """An object with parts that were sent; the others are `Kept`."""

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
        """Take a part that was sent."""
        self[key] = value
        self.sent.add(key)
        self.names.add(name or key)

    def of(self, current: Any) -> "Parts":
        """Return the same parts of another value."""
        made = Parts(current, self.instead)
        made.update(self)
        made.sent, made.names = set(self.sent), set(self.names)
        return made


class Items(list[Any]):
    """An array with items that were kept."""

    def __init__(self, items: list[Any], current: Any = ABSENT) -> None:
        super().__init__(items)
        self.current = current
        self.instead: Callable[[], Any] | None = None

    def of(self, current: Any) -> "Items":
        """Return the same items of another value."""
        return Items(self, current)
