"""Place an order: take the stock, write the order and the ledger, all in one transaction."""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from depot import money, times
from depot.inventory.problems import ItemNotFound
from depot.inventory.rows import ItemRow
from depot.orders.models import NewOrder
from depot.orders.problems import InsufficientStock, Shortage
from depot.orders.rows import LedgerRow, OrderLineRow, OrderRow
from roadworthy.problems import FieldError, ValidationFailed

__all__ = ["place"]


async def place(tx: AsyncSession, order: NewOrder) -> OrderRow:
    """Take what is ordered from stock and write it down, or change nothing.

    Raises:
        ItemNotFound: 404.
        InsufficientStock: 409. Names every item that is short.
        ValidationFailed: 422. An item is inactive, or its quantity is not one it is sold in.
    """
    wanted = Counter[str]()
    for line in order.lines:
        wanted[line.item_id] += line.quantity
    items = await _lock(tx, wanted)
    _check_terms(order, items, wanted)
    _take(items, wanted)
    return _write(tx, order, items)


async def _lock(tx: AsyncSession, wanted: Mapping[str, int]) -> dict[str, ItemRow]:
    # In one order for everybody: two orders of the same items cannot wait for each other.
    query = select(ItemRow).where(ItemRow.id.in_(wanted)).order_by(ItemRow.id).with_for_update()
    items = {row.id: row for row in await tx.scalars(query)}
    if len(items) < len(wanted):
        raise ItemNotFound
    return items


def _check_terms(order: NewOrder, items: Mapping[str, ItemRow], wanted: Mapping[str, int]) -> None:
    errors = [
        FieldError(pointer=f"/lines/{position}/{field}", code=code, message=message)
        for position, line in enumerate(order.lines)
        for field, code, message in _broken_terms(items[line.item_id], wanted[line.item_id])
    ]
    if errors:
        raise ValidationFailed(errors=errors)
    if _total(order, items) > money.MAX:
        message = f"The order should come to at most {money.text(money.MAX)}"
        raise ValidationFailed(
            errors=[FieldError(pointer="/lines", code="order_too_large", message=message)]
        )


def _broken_terms(item: ItemRow, quantity: int) -> Iterator[tuple[str, str, str]]:
    if not item.is_active:
        yield "item_id", "item_inactive", "This item is not for sale"
    if quantity < item.min_order:
        message = f"At least {item.min_order} of this item should be ordered"
        yield "quantity", "below_min_order", message
    if item.max_order is not None and quantity > item.max_order:
        message = f"At most {item.max_order} of this item should be ordered"
        yield "quantity", "above_max_order", message


def _take(items: Mapping[str, ItemRow], wanted: Mapping[str, int]) -> None:
    short = [
        Shortage(item_id=item_id, requested=quantity, available=items[item_id].quantity)
        for item_id, quantity in wanted.items()
        if items[item_id].quantity < quantity
    ]
    if short:
        raise InsufficientStock(shortages=short)
    for item_id, quantity in wanted.items():
        items[item_id].quantity -= quantity


def _total(order: NewOrder, items: Mapping[str, ItemRow]) -> Decimal:
    return sum((items[line.item_id].price * line.quantity for line in order.lines), money.NOTHING)


def _write(tx: AsyncSession, order: NewOrder, items: Mapping[str, ItemRow]) -> OrderRow:
    now = times.now()
    row = OrderRow(
        id=str(uuid4()),
        status="accepted",
        customer_email=order.customer_email,
        total=_total(order, items),
        created_at=now,
        confirmation="pending",
        invoice="pending",
        lines=[
            OrderLineRow(
                position=position,
                item_id=line.item_id,
                quantity=line.quantity,
                unit_price=items[line.item_id].price,
                amount=items[line.item_id].price * line.quantity,
            )
            for position, line in enumerate(order.lines)
        ],
    )
    tx.add(row)
    tx.add_all(_entries(row))
    return row


def _entries(order: OrderRow) -> Iterator[LedgerRow]:
    for line in order.lines:
        yield LedgerRow(
            order_id=order.id,
            item_id=line.item_id,
            quantity=line.quantity,
            unit_price=line.unit_price,
            amount=line.amount,
            created_at=order.created_at,
            day=order.created_at.date(),
        )
