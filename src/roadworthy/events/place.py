"""`Place`: how far a client has come: what `Last-Event-ID` holds."""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Place"]

_FORM: Final = re.compile(r"(\d{1,18})-(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the order of all events, and the id of the event there.

    The id tells whether the order is still the one that the client knows: after a database
    was set back, or a replica that was behind took over, a position means another event.
    """

    position: int
    event_id: int

    @classmethod
    def of(cls, text: str) -> "Place | None":
        """Return the place that a text names, or None where it names none."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.position}-{self.event_id}"
