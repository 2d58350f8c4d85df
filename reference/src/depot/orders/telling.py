"""What clients that listen are told of orders."""

from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import events

__all__ = ["ALL", "of_one", "tell"]

ALL = "orders"
"""The topic of all orders."""
_SHOWN = 8
"""Characters of an id that everybody is told: its owner knows it by them, and nobody reads it."""


def of_one(order_id: str) -> str:
    """Return the topic of one order."""
    return f"orders/{order_id}"


async def tell(tx: AsyncSession, order_id: str, **state: str) -> None:
    """Tell how far an order is, once `tx` commits."""
    await events.publish(tx, of_one(order_id), {"order_id": order_id} | state)
    await events.publish(tx, ALL, {"order": order_id[:_SHOWN]} | state)
