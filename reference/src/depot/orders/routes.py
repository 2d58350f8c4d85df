"""The endpoints of orders."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from depot.inventory.problems import ItemNotFound
from depot.orders.models import NewOrder, Order
from depot.orders.placing import place
from depot.orders.problems import InsufficientStock, NotReady, OrderNotFound
from depot.orders.rows import OrderRow
from roadworthy import problems
from roadworthy.database import Read, Tx
from roadworthy.idempotency import Idempotency

__all__ = ["router"]

router = APIRouter(prefix="/orders", tags=["orders"])
once = Idempotency(Tx, ttl=timedelta(hours=24))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=problems.responses(ItemNotFound, InsufficientStock),
    dependencies=[once.key],
)
async def place_order(order: NewOrder, tx: Tx, response: Response) -> Order:
    """Take what is ordered from stock, all of it or nothing."""
    row = await place(tx, order)
    response.headers["Location"] = f"/orders/{row.id}"
    return Order.model_validate(row)


@router.head("/{order_id}", include_in_schema=False)
@router.get("/{order_id}", responses=problems.responses(OrderNotFound))
async def read_order(order_id: str, read: Read) -> Order:
    """Return one order."""
    return Order.model_validate(await _find(read, order_id))


@router.head("/{order_id}/invoice", include_in_schema=False)
@router.get(
    "/{order_id}/invoice",
    status_code=status.HTTP_404_NOT_FOUND,
    response_model=None,
    responses=problems.responses(OrderNotFound, NotReady),
)
async def read_invoice(order_id: str, read: Read) -> None:
    """Answer that the invoice is still being made: this version of Depot makes none yet."""
    await _find(read, order_id)
    raise NotReady


async def _find(session: AsyncSession, order_id: str) -> OrderRow:
    row = await session.get(OrderRow, order_id) if _is_order_id(order_id) else None
    if row is None:
        raise OrderNotFound
    return row


def _is_order_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
