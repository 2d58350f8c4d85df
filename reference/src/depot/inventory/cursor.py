"""Where a page ends: after which item the next one starts.

A page is told by its last item, not by a count, so that items added or deleted
in between neither repeat nor hide others.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Query

from depot.inventory.models import is_item_id
from roadworthy import problems
from roadworthy.problems import FieldError, ValidationFailed

__all__ = ["Cursor", "Position"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Position:
    """The last item of a page."""

    created_at: datetime
    id: str

    def text(self) -> str:
        """Write it for a client, who need not understand it."""
        plain = f"{(self.created_at - _EPOCH) // _MICROSECOND}:{self.id}"
        return urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _read(text: str) -> Position | None:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        moment, _, item_id = urlsafe_b64decode(padded).decode("ascii").partition(":")
        position = Position(_EPOCH + int(moment) * _MICROSECOND, item_id)
    except (ValueError, OverflowError):
        return None
    # Only what we wrote: the decoder would skip characters that are no base64.
    return position if is_item_id(item_id) and position.text() == text else None


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
