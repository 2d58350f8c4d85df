"""Hold what the clients were told against what is there."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from faults.load import STOCK, Load, Told

__all__ = ["Findings", "audit", "settle"]


@dataclass(frozen=True)
class Findings:
    """What was lost, and what is there twice: sentences, for who reads a failed test."""

    lost: list[str]
    doubled: list[str]
    half_done: list[str]


def settle(engine: sa.Engine, *, seconds: float = 90) -> None:
    """Wait until no job is left to run."""
    left = sa.text(
        "SELECT state, count(*) FROM roadworthy_jobs "
        "WHERE state NOT IN ('succeeded', 'cancelled') GROUP BY state"
    )
    end = time.monotonic() + seconds
    while rows := _rows(engine, left):
        assert time.monotonic() < end, f"jobs are left: {rows}"
        time.sleep(0.2)


def audit(engine: sa.Engine, mail: Path, load: Load) -> Findings:
    """Look for everything that was acknowledged, and for everything that was not."""
    told = load.told
    found = Findings([], [], [])
    _orders(engine, told, found)
    _actions(engine, told, found)
    _invoices(engine, found)
    _mails(engine, mail, found)
    _stock(engine, found)
    return found


def _orders(engine: sa.Engine, told: Told, found: Findings) -> None:
    rows = _rows(engine, sa.text("SELECT customer_email, id FROM orders"))
    there = Counter(email for email, _ in rows)
    ids = {(email, str(id_)) for email, id_ in rows}
    for email, id_ in told.orders.items():
        if (email, id_) not in ids:
            found.lost.append(f"the order {id_} of {email}")
    for email, count in there.items():
        if count > 1:
            found.doubled.append(f"{count} orders of {email}")
        if email not in told.orders and email not in told.doubtful_orders:
            found.doubled.append(f"an order of {email}, who bought nothing")


def _actions(engine: sa.Engine, told: Told, found: Findings) -> None:
    rows = _rows(engine, sa.text("SELECT user_id, count(*) FROM user_actions GROUP BY user_id"))
    there = dict(map(tuple, rows))
    for user in told.actions | told.doubtful_actions:
        least = told.actions[user]
        most = least + told.doubtful_actions[user]
        count = there.get(user, 0)
        if count < least:
            found.lost.append(f"{least - count} actions of {user}")
        if count > most:
            found.doubled.append(f"{count - most} actions of {user}")


def _invoices(engine: sa.Engine, found: Findings) -> None:
    rows = _rows(
        engine,
        sa.text(
            "SELECT orders.id, orders.invoice, orders.confirmation, count(invoices.order_id) "
            "FROM orders LEFT JOIN invoices ON invoices.order_id = orders.id "
            "GROUP BY orders.id, orders.invoice, orders.confirmation"
        ),
    )
    for id_, invoice, confirmation, count in rows:
        if count != 1 or invoice != "ready":
            found.lost.append(f"the invoice of {id_}: {count}, {invoice}")
        if confirmation != "sent":
            found.lost.append(f"the confirmation of {id_}: {confirmation}")


def _mails(engine: sa.Engine, mail: Path, found: Findings) -> None:
    emails = {email for (email,) in _rows(engine, sa.text("SELECT customer_email FROM orders"))}
    sent: Counter[str] = Counter()
    for path in mail.glob("*.eml"):
        head = path.read_text(errors="replace").partition("\n\n")[0]
        to = next(line for line in head.splitlines() if line.startswith("To: "))
        sent[to.removeprefix("To: ").strip()] += 1
    found.lost.extend(f"the mail to {email}" for email in emails - set(sent))
    found.doubled.extend(f"{n} mails to {email}" for email, n in sent.items() if n > 1)


def _stock(engine: sa.Engine, found: Findings) -> None:
    sums = sa.text("SELECT item_id, sum(quantity) FROM order_lines GROUP BY item_id")
    bought = dict(map(tuple, _rows(engine, sums)))
    for id_, left in _rows(engine, sa.text("SELECT id, quantity FROM items")):
        if left != STOCK - int(bought.get(id_, 0)):
            found.half_done.append(f"{id_}: {left} left, {bought.get(id_, 0)} bought")


def _rows(engine: sa.Engine, query: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(query))
