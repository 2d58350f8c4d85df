"""The text of the mail that confirms an order."""

from collections.abc import Iterator

from depot import money
from depot.orders.rows import OrderRow

__all__ = ["subject", "text"]


def subject(order: OrderRow) -> str:
    """Return the line that lists of mail show."""
    return f"Your order {order.id}"


def text(order: OrderRow) -> str:
    """Return the message: what was ordered, and what it comes to."""
    return "\n".join(_lines(order)) + "\n"


def _lines(order: OrderRow) -> Iterator[str]:
    yield "Thank you for your order."
    yield ""
    yield f"Order: {order.id}"
    yield f"Placed: {order.created_at:%Y-%m-%d %H:%M} UTC"
    yield ""
    for line in order.lines:
        price, amount = money.text(line.unit_price), money.text(line.amount)
        yield f"{line.quantity} x {line.item_id} at {price}: {amount}"
    yield ""
    yield f"Total: {money.text(order.total)}"
