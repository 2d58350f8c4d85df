"""Data to look at: a dozen items, a month of orders, two documents, a day of problems."""

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from depot import times
from depot.demo_history import add_history
from depot.documents import keeping
from depot.documents.policies import PREFIX
from depot.documents.tasks import make_thumbnail
from depot.inventory.rows import ItemRow
from depot.orders.models import NewLine, NewOrder
from depot.orders.pdf import Invoice, Line, render
from depot.orders.placing import place
from depot.orders.rows import LedgerRow
from depot.orders.tasks import make_invoice
from roadworthy.uploads import Files

__all__ = ["add_demo_data"]

_ITEMS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("Adjustable wrench", "24.90", {"size_mm": 200}),
    ("Claw hammer", "18.50", {"weight_g": 570}),
    ("Cordless drill", "129.00", {"volts": 18, "case": {"included": True}}),
    ("Ear defenders", "14.20", {"db": 32}),
    ("Hex key set", "9.99", {"pieces": 9}),
    ("Measuring tape", "7.45", {"length_m": 5}),
    ("Pair of pliers", "16.80", {}),
    ("Screwdriver set", "22.00", {"pieces": 6}),
    ("Spirit level", "31.60", {"length_cm": 60}),
    ("Torch", "12.75", {"lumens": 300}),
    ("Utility knife", "6.30", {"blades": 5}),
    ("Work gloves", "8.15", {"sizes": ["S", "M", "L"]}),
)
_DAYS = 30


async def add_demo_data(tx: AsyncSession, files: Files) -> None:
    """Add items, orders and documents, unless there is an item already."""
    if await tx.scalar(select(ItemRow.id).limit(1)) is not None:
        return
    tx.add_all(_items())
    await tx.flush()
    dice = Random(2)  # noqa: S311 - the same demo everywhere
    for days_ago in range(_DAYS, 0, -1):
        for _ in range(dice.randint(0, 3)):
            await _order(tx, dice, days_ago=days_ago)
    for number in (1, 2):
        await _document(tx, files, number)
    await add_history(tx)


def _items() -> list[ItemRow]:
    began = times.now() - timedelta(days=_DAYS + 1)
    return [
        ItemRow(
            id=f"item-{number:03}",
            name=name,
            description=None,
            quantity=500,
            price=Decimal(price),
            is_active=True,
            min_order=1,
            max_order=100,
            attributes=attributes,
            created_at=began + timedelta(minutes=number),
            updated_at=began + timedelta(minutes=number),
        )
        for number, (name, price, attributes) in enumerate(_ITEMS, start=1)
    ]


async def _order(tx: AsyncSession, dice: Random, *, days_ago: int) -> None:
    ids = [f"item-{number:03}" for number in dice.sample(range(1, len(_ITEMS) + 1), 2)]
    lines = [NewLine(item_id=item_id, quantity=dice.randint(1, 5)) for item_id in ids]
    order = await place(tx, NewOrder(customer_email="ann@example.com", lines=lines))
    # Invented as the order is: nobody wants a month of mail. The invoice is really made.
    order.confirmation = "sent"
    await make_invoice.enqueue(tx, order_id=order.id)
    await tx.flush()
    at = order.created_at - timedelta(days=days_ago)
    order.created_at = at
    entries = update(LedgerRow).where(LedgerRow.order_id == order.id)
    await tx.execute(entries.values(created_at=at, day=at.date()))


async def _document(tx: AsyncSession, files: Files, number: int) -> None:
    lines = tuple(Line(name, str(number), price, price) for name, price, _ in _ITEMS[number::4])
    note = Invoice(f"delivery-{number:03}", f"{times.now():%Y-%m-%d}", "Depot", lines, total="")
    file = await files.add(
        render(note),
        media_type="application/pdf",
        filename=f"Delivery {number}.pdf",
        key=files.new_key(PREFIX["document"]),
    )
    row = keeping.keep(tx, file, "document")
    await make_thumbnail.enqueue(tx, document_id=row.id)
