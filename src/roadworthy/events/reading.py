"""Read events in their order, each time in a short transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._internal.calendar import utc
from roadworthy.events.place import Place
from roadworthy.events.tables import ORDER, order, table

__all__ = ["PAGE", "Extent", "KeptEvent", "event_id_at", "extent", "read_between"]

PAGE: Final = 500
"""Events that one statement reads."""
_MANY: Final = 200
"""Topics above which all events are read and sorted out here: a statement has its bounds."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """One event as it stands in the table; the time is in UTC."""

    position: int
    id: int
    topic: str
    name: str | None
    data: str
    at: datetime

    @property
    def place(self) -> Place:
        """Return where in the order it stands."""
        return Place(self.position, self.id)


@dataclass(frozen=True, slots=True)
class Extent:
    """From where to where the order reaches."""

    last: Place
    """The last event that has a position; its id is 0 where the event was pruned."""
    pruned: int
    """The last position whose event is gone."""


async def extent(session: AsyncConnection | AsyncSession) -> Extent:
    """Return from where to where the order reaches."""
    row = (await session.execute(_extent)).one_or_none()
    return Extent(Place(0, 0), 0) if row is None else Extent(Place(row[0], row[2] or 0), row[1])


async def event_id_at(connection: AsyncConnection, position: int) -> int | None:
    """Return the id of the event at a position, or None where there is none."""
    found: int | None = await connection.scalar(
        select(table.c.id).where(table.c.position == position)
    )
    return found


async def read_between(
    connection: AsyncConnection, after: int, until: int, topics: Collection[str]
) -> list[KeptEvent]:
    """Return the events of these topics behind one position and up to another, a page of them."""
    here = (table.c.position > after) & (table.c.position <= until)
    query = select(*_COLUMNS).where(here).order_by(table.c.position).limit(PAGE)
    if len(topics) <= _MANY:
        query = query.where(table.c.topic.in_(topics))
    return [_event(row) for row in await connection.execute(query)]


_COLUMNS: Final = (
    table.c.position,
    table.c.id,
    table.c.topic,
    table.c.name,
    table.c.data,
    table.c.at,
)
_extent: Final = (
    select(order.c.last, order.c.pruned, table.c.id)
    .outerjoin(table, table.c.position == order.c.last)
    .where(order.c.name == ORDER)
)


def _event(row: Any) -> KeptEvent:
    return KeptEvent(row.position, row.id, row.topic, row.name, row.data, utc(row.at))
