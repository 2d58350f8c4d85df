"""`Place`: how far a client has come: what `Last-Event-ID` holds."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from roadworthy._internal.calendar import utc

__all__ = ["NOWHERE", "Place"]

_FORM: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the order of all events, and a mark of the event that stands there.

    The mark is when the event was written, in microseconds. By it is seen whether the order is
    still the one that a client knows: once a backup was restored, or a replica that was behind
    took over, a position has another event, although its row may have the same number.
    """

    position: int
    mark: int
    """0 where the event is not known."""

    @classmethod
    def of(cls, text: str) -> "Place | None":
        """Return the place that a text names, or None where it names none."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(int(found[1]), int(found[2]))

    @classmethod
    def at(cls, position: int, written: datetime | None) -> "Place":
        """Return the place of an event that was written then."""
        return cls(position, 0 if written is None else (utc(written) - _EPOCH) // _UNIT)

    def __str__(self) -> str:
        return f"{self.position}-{self.mark}"


NOWHERE: Final = Place(0, 0)
"""Before the first event."""
