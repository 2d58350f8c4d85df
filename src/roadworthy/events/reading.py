"""Read events in their order: one statement, and one state of the database, a page."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Executable, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._internal.calendar import utc
from roadworthy.events.place import NOWHERE, Place
from roadworthy.events.tables import ORDER, order, table

__all__ = ["KeptEvent", "Page", "last_place", "read_page"]

_MANY: Final = 200
"""Topics above which all events are read and sorted out here: a statement has its bounds."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """One event as it stands in the table; the time is in UTC."""

    position: int
    topic: str
    name: str | None
    data: str
    at: datetime

    @property
    def place(self) -> Place:
        """Return where in the order it stands."""
        return Place.at(self.position, self.at)


@dataclass(frozen=True, slots=True)
class Page:
    """The next events behind a place, and what the order was like when they were read."""

    events: list[KeptEvent]
    is_full: bool
    """Whether there may be more."""
    last: Place
    """The end of the order."""
    pruned: int
    """The last position whose event is gone."""
    here: Place
    """The place that was read behind, with the mark that its event has now."""

    @property
    def reached(self) -> Place:
        """Return the place up to which there is nothing but these events."""
        return self.events[-1].place if self.is_full else self.last

    def follows(self, place: Place) -> bool:
        """Return whether nothing is missing between a place, read behind, and these events."""
        return self.pruned <= place.position and not self.is_another_order(place)

    def is_another_order(self, place: Place) -> bool:
        """Return whether a place is none of this order: the database was set back since."""
        known = place.mark and self.here.mark
        return place.position > self.last.position or bool(known and place != self.here)


async def last_place(session: AsyncConnection | AsyncSession) -> Place:
    """Return the end of the order."""
    row = (await session.execute(_last)).one_or_none()
    return NOWHERE if row is None else Place.at(row.last, row.at)


async def read_page(
    connection: AsyncConnection, after: Place, topics: Collection[str], *, limit: int
) -> Page:
    """Return the next events of these topics behind a place."""
    rows = (await connection.execute(_page(after.position, topics, limit))).all()
    if not rows:
        return Page([], is_full=False, last=NOWHERE, pruned=0, here=NOWHERE)
    found = [_event(row) for row in rows if row.position is not None]
    first = rows[0]
    return Page(
        # Events of other topics may be among them: a full page is known by all that was read.
        found,
        is_full=len(found) == limit,
        last=Place.at(first.last, first.last_at),
        pruned=first.pruned,
        here=Place.at(after.position, first.here_at),
    )


def _written_at(position: Any) -> Any:
    other = table.alias()
    return select(other.c.at).where(other.c.position == position).scalar_subquery()


_last: Final = select(order.c.last, _written_at(order.c.last).label("at")).where(
    order.c.name == ORDER
)


def _page(after: int, topics: Collection[str], limit: int) -> Executable:
    wanted = table.c.position > after
    if len(topics) <= _MANY:
        wanted = and_(wanted, table.c.topic.in_(topics))
    columns = (table.c.position, table.c.topic, table.c.name, table.c.data, table.c.at)
    found = select(*columns).where(wanted).order_by(table.c.position).limit(limit).subquery()
    last_at, here_at = _written_at(order.c.last), _written_at(after)
    state = (order.c.last, order.c.pruned, last_at.label("last_at"), here_at.label("here_at"))
    # All of them are: by this there is one row also where nothing was found.
    joined = order.outerjoin(found, found.c.position > order.c.pruned)
    query = select(*state, *found.c).select_from(joined).where(order.c.name == ORDER)
    return query.order_by(found.c.position)


def _event(row: Any) -> KeptEvent:
    return KeptEvent(row.position, row.topic, row.name, row.data, utc(row.at))
