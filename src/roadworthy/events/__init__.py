"""Events for clients that listen: none is missed, none comes twice, and nothing is held.

    @app.post("/orders", status_code=201)
    async def place(order: Order, tx: Tx) -> Order:
        tx.add(OrderRow(id=order.id))
        await events.publish(tx, "orders", {"id": order.id})
        return order

    @app.get("/orders/events", response_class=EventStream)
    async def order_events(request: Request) -> EventStream:
        return events.stream(request, "orders")

    db = Database("sqlite:///shop.db")
    app = FastAPI(lifespan=lifespan(db, Events(db)))

An event is a row of the caller's transaction. Clients are told with Server-Sent Events, and
come back with the id of the last one: after a lost connection, a restart, a `kill -9`, to
another server.
"""

from roadworthy._internal.extras import extra

with extra("database", of="roadworthy.events"):
    import sqlalchemy.ext.asyncio as _  # noqa: F401 - so that its absence is told once

from roadworthy.events.errors import EventTooLarge, PlaceMalformed, TopicUnknown
from roadworthy.events.part import Events
from roadworthy.events.position import position
from roadworthy.events.publishing import publish, publish_sync
from roadworthy.events.state import EventsState, Kept, kept
from roadworthy.events.stream import EventStream, MayListen, stream
from roadworthy.events.tables import metadata, order, table

__all__ = [
    "EventStream",
    "EventTooLarge",
    "Events",
    "EventsState",
    "Kept",
    "MayListen",
    "PlaceMalformed",
    "TopicUnknown",
    "kept",
    "metadata",
    "order",
    "position",
    "publish",
    "publish_sync",
    "stream",
    "table",
]
