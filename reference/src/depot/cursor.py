"""Where a page ends: after which entry the next one starts.

A page is told by its last entry, not by a count, so that entries added or deleted
in between neither repeat nor hide others.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Query

from roadworthy import problems
from roadworthy.problems import FieldError, ValidationFailed

__all__ = ["Cursor", "Position"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""The characters of every id in a cursor."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last entry of a page."""

    at: datetime
    id: str

    def text(self) -> str:
        """Write it for a client, who need not understand it."""
        plain = f"{(self.at - _EPOCH) // _MICROSECOND}:{self.id}"
        return urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _read(text: str) -> Position | None:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        moment, _, entry_id = urlsafe_b64decode(padded).decode("ascii").partition(":")
        position = Position(_EPOCH + int(moment) * _MICROSECOND, entry_id)
    except (ValueError, OverflowError):
        return None
    # Only what we wrote: the decoder would skip characters that are no base64.
    return position if _ID.fullmatch(entry_id) and position.text() == text else None


@problems.raises(ValidationFailed)
async def _position(
    cursor: Annotated[str | None, Query(description="The next_cursor of the page before.")] = None,
) -> Position | None:
    if cursor is None:
        return None
    position = _read(cursor)
    if position is None:
        message = "Input should be a next_cursor of this list"
        raise ValidationFailed(
            errors=[FieldError(pointer="/cursor", in_="query", code="cursor", message=message)]
        )
    return position


Cursor: TypeAlias = Annotated[Position | None, Depends(_position)]
"""A `next_cursor` that came back, or None for the first page."""
