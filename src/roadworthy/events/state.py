"""`EventsState`: how many listen in a process, how late they are told, and what waits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import utc
from roadworthy.events.tables import ORDER, order, table

__all__ = ["EventsState", "Kept", "kept"]


@dataclass(frozen=True, slots=True)
class EventsState:
    """What one process knows of those who listen to it."""

    listeners: int
    at_most: int
    """How many may listen here."""
    topics: int
    """Topics that somebody listens to."""
    lag: float | None
    """Seconds from publishing the last event to handing it out here; None where there was none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the table holds."""

    last: int
    """The position of the last event."""
    pruned: int
    """The position up to which events are gone."""
    oldest: datetime | None
    """When the oldest one was published that is kept."""
    unsettled: int
    """Events that are committed, and whose position nobody has given yet."""
    unsettled_since: datetime | None
    """When the oldest of these was published."""


async def kept(connection: AsyncConnection) -> Kept:
    """Return what the table holds, by two looks at an index and one at what is not settled."""
    place = (await connection.execute(_place)).one_or_none()
    oldest = (await connection.execute(_oldest)).scalar_one_or_none()
    waiting = (await connection.execute(_waiting)).one()
    return Kept(
        last=0 if place is None else place.last,
        pruned=0 if place is None else place.pruned,
        oldest=None if oldest is None else utc(oldest),
        unsettled=waiting[0],
        unsettled_since=None if waiting[1] is None else utc(waiting[1]),
    )


_place: Final = select(order.c.last, order.c.pruned).where(order.c.name == ORDER)
_oldest: Final = (
    select(table.c.at).where(table.c.position.is_not(None)).order_by(table.c.position).limit(1)
)
_waiting: Final = select(func.count(), func.min(table.c.at)).where(table.c.position.is_(None))
