"""The endpoints of orders."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from depot import headers, times
from depot.inventory.problems import ItemNotFound
from depot.jobs import header
from depot.orders import telling
from depot.orders.models import NewOrder, Order
from depot.orders.placing import place
from depot.orders.problems import InsufficientStock, InvoiceFailed, OrderNotFound
from depot.orders.rows import InvoiceRow, OrderRow
from depot.orders.tasks import make_invoice, send_confirmation
from depot.problems import NotReady
from roadworthy import events, problems
from roadworthy.conditional import IfNoneMatch
from roadworthy.database import ReadLatest, Tx
from roadworthy.events import EventStream, PlaceMalformed
from roadworthy.idempotency import Idempotency
from roadworthy.jobs import enqueue_many
from roadworthy.problems import ServiceUnavailable

__all__ = ["router"]

router = APIRouter(prefix="/orders", tags=["orders"])
once = Idempotency(Tx, ttl=timedelta(hours=24))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        **headers.documented(status.HTTP_201_CREATED, header.NAME, "Location"),
        **problems.responses(ItemNotFound, InsufficientStock),
    },
    dependencies=[once.key],
)
async def place_order(order: NewOrder, tx: Tx, response: Response) -> Order:
    """Take what is ordered from stock, all of it or nothing.

    The first X-Job-ID is that of the confirmation mail, the second that of the invoice.
    """
    row = await place(tx, order)
    follow = [send_confirmation.call(order_id=row.id), make_invoice.call(order_id=row.id)]
    header.add(response, *await enqueue_many(tx, follow))
    response.headers["Location"] = f"/orders/{row.id}"
    return Order.model_validate(row)


@router.get(
    "/events",
    response_class=EventStream,
    responses=problems.responses(PlaceMalformed, ServiceUnavailable),
)
async def listen(request: Request, order_id: UUID | None = None) -> EventStream:
    """Tell when the confirmation of an order was sent, and its invoice is ready, as they happen.

    Server-Sent Events without an end. With `order_id` they are of this order,
    `{"order_id": "…", "invoice": "ready"}`, else of all orders, of which they have the first eight
    characters: `{"order": "0b55e2c1", "confirmation": "sent"}`. With the header `Last-Event-ID`,
    or the query parameter `last_event_id`, they go on behind that event; an event named `gap`
    says that some are not known any more.
    """
    return events.stream(
        request, telling.ALL if order_id is None else telling.of_one(str(order_id))
    )


@router.head("/{order_id}", include_in_schema=False)
@router.get("/{order_id}", responses=problems.responses(OrderNotFound))
async def read_order(order_id: str, read: ReadLatest) -> Order:
    """Return one order."""
    return Order.model_validate(await _find(read, order_id))


class _Pdf(Response):
    media_type = "application/pdf"


@router.head("/{order_id}/invoice", include_in_schema=False)
@router.get(
    "/{order_id}/invoice",
    response_class=_Pdf,
    responses=problems.responses(OrderNotFound, NotReady, InvoiceFailed),
)
async def read_invoice(
    order_id: str, none_match: IfNoneMatch, read: ReadLatest, response: Response
) -> _Pdf:
    """Return the invoice as a PDF; it is made within moments of the order.

    Until then the answer is 404 NOT_READY with Retry-After, and 404 INVOICE_FAILED
    without, should all attempts at making it have failed.
    """
    invoice = await _invoice(read, order_id)
    response.headers["Cache-Control"] = "private, no-cache"
    none_match.check(times.text(invoice.made_at))
    response.headers["Content-Disposition"] = f'attachment; filename="invoice-{order_id}.pdf"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return _Pdf(invoice.pdf, headers=dict(response.headers))


async def _invoice(session: AsyncSession, order_id: str) -> InvoiceRow:
    order = await _find(session, order_id)
    invoice = await session.get(InvoiceRow, order_id)
    if invoice is None:
        raise InvoiceFailed if order.invoice == "failed" else NotReady
    return invoice


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
