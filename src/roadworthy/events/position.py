"""`position`: where the order stands, for a page that reads first and listens then."""

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy._sqlalchemy.transactions import to_await
from roadworthy.events.reading import last_place

__all__ = ["position"]


async def position(session: AsyncSession | AsyncConnection) -> str:
    """Return the id of the last event, for the `last_event_id` of a first request.

        last = await events.position(read)  # first, and then what the page shows
        order = await load(read, order_id)

    Read before the rest, nothing is missed that happens between reading and listening; what
    happens while the page reads may be shown and told.
    """
    return str(await last_place(to_await(session, "events.position")))
