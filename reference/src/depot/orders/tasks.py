"""The background tasks of an order: its confirmation and its invoice."""

import logging
from datetime import timedelta
from typing import Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from depot import times
from depot.mail.mailer import Mailer, Refused
from depot.orders import confirmation
from depot.orders.invoice import invoice_of
from depot.orders.pdf import render
from depot.orders.rows import InvoiceRow, OrderRow
from depot.orders.telling import tell
from roadworthy.database import Database
from roadworthy.jobs import Backoff, GiveUp, Job, task

__all__ = ["MAIL", "make_invoice", "send_confirmation"]

log = logging.getLogger(__name__)

MAIL: Final = "mail"
"""The queue of what waits for the mail server."""

MAX_MEMORY: Final = 512 * 1024 * 1024
"""Bytes for one invoice: a hundred lines take a tenth of it."""


@task(
    name="orders.send_confirmation",
    queue=MAIL,
    # Mail servers are away for hours at times: the last try is about two hours after the first.
    attempts=12,
    backoff=Backoff(first=timedelta(seconds=1), factor=2.5, most=timedelta(hours=1)),
)
async def send_confirmation(job: Job, order_id: str) -> None:
    """Mail the customer what was ordered; a repeat has the Message-ID of the first try."""
    order = await _read(job, order_id)
    try:
        await job.find(Mailer).send(
            to=order.customer_email,
            subject=confirmation.subject(order),
            text=confirmation.text(order),
            written=order.created_at,
            key=job.idempotency_key,
        )
    except Refused as error:
        raise GiveUp(str(error)) from error
    async with job.completing() as tx:
        await _set(tx, order_id, confirmation="sent")
    log.info("the confirmation of order %s was sent", order_id)


@send_confirmation.on_dead
async def not_sent(tx: AsyncSession, order_id: str) -> None:
    """Tell who asks for the order."""
    await _set(tx, order_id, confirmation="failed")


@task(
    name="orders.make_invoice",
    # A worker that dies uses up an attempt of each job it holds, and may die often in one night.
    attempts=12,
    backoff=Backoff(first=timedelta(seconds=1), factor=2.5, most=timedelta(hours=1)),
    timeout=timedelta(minutes=2),
    max_memory=MAX_MEMORY,
)
async def make_invoice(job: Job, order_id: str) -> None:
    """Make the PDF of an order's invoice, in a process of its own, and keep it."""
    order = await _read(job, order_id)
    pdf = await job.in_process(render, invoice_of(order))
    async with job.completing() as tx:
        await tx.merge(InvoiceRow(order_id=order_id, pdf=pdf, made_at=times.now()))
        await _set(tx, order_id, invoice="ready")


@make_invoice.on_dead
async def not_made(tx: AsyncSession, order_id: str) -> None:
    """Tell who asks for the order."""
    await _set(tx, order_id, invoice="failed")


async def _read(job: Job, order_id: str) -> OrderRow:
    # A unit of its own, closed before the slow part: no connection waits for a mail server.
    async with job.find(Database).read() as session:
        order = await session.get(OrderRow, order_id)
    if order is None:
        raise GiveUp("the order is gone")
    return order


async def _set(tx: AsyncSession, order_id: str, **state: str) -> None:
    await tx.execute(update(OrderRow).where(OrderRow.id == order_id).values(**state))
    await tell(tx, order_id, **state)
