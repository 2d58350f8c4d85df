"""The content of the invoice of an order."""

from depot import money
from depot.orders.pdf import Invoice, Line
from depot.orders.rows import OrderLineRow, OrderRow

__all__ = ["invoice_of"]


def invoice_of(order: OrderRow) -> Invoice:
    """Return what the invoice says: values only, which travel to another process."""
    return Invoice(
        order_id=order.id,
        date=f"{order.created_at:%Y-%m-%d}",
        customer_email=order.customer_email,
        lines=tuple(_line(line) for line in order.lines),
        total=money.text(order.total),
    )


def _line(line: OrderLineRow) -> Line:
    return Line(
        item_id=line.item_id,
        quantity=str(line.quantity),
        unit_price=money.text(line.unit_price),
        amount=money.text(line.amount),
    )
