"""What the plain service does in the background, and how it hands that over."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from faults.plain.tables import actions, database, invoices, orders

__all__ = ["defer", "make_invoice", "record_action", "send_confirmation"]


def send_confirmation(order_id: str) -> None:
    with database().begin() as tx:
        email = tx.execute(sa.select(orders.c.customer_email).where(orders.c.id == order_id))
        _write_mail(order_id, email.scalar_one())
        tx.execute(orders.update().where(orders.c.id == order_id).values(confirmation="sent"))


def make_invoice(order_id: str) -> None:
    with database().begin() as tx:
        tx.execute(invoices.insert().values(order_id=order_id))
        changed = orders.update().where(orders.c.id == order_id).values(invoice="ready")
        assert tx.execute(changed).rowcount == 1, "there is no such order"


def record_action(user_id: str, action: str) -> None:
    with database().begin() as tx:
        tx.execute(actions.insert().values(user_id=user_id, action=action))


def defer(job: Callable[..., None], *arguments: str) -> None:
    """Hand a job over, as the documentation of each shows it."""
    if os.environ["PLAIN_ENGINE"] == "celery":
        from faults.plain import celery_app

        celery_app.app.tasks[job.__name__].delay(*arguments)
    else:
        from faults.plain import rq_queue

        rq_queue.queue().enqueue(job, *arguments, retry=rq_queue.RETRY)


def _write_mail(order_id: str, email: str) -> None:
    # A repeat replaces the mail, as Depot's does: no engine can know whether one was sent.
    mails = Path(os.environ["PLAIN_MAIL"])
    written = mails / f".{uuid4().hex}"
    written.write_text(f"To: {email}\n\nThank you.\n")
    written.replace(mails / f"{order_id}.eml")
