"""Hold what the clients were told against what is there."""

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from faults.load import STOCK, Load
from faults.told import Told

__all__ = ["Findings", "audit", "audit_documents", "audit_orders", "settle"]


@dataclass(frozen=True)
class Findings:
    """What was lost, and what is there twice: sentences, for who reads a failed test."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    half_done: list[str] = field(default_factory=list)


def settle(engine: sa.Engine, *, seconds: float = 90) -> None:
    """Wait until no job is left to run."""
    left = sa.text(
        "SELECT task, state, count(*) FROM roadworthy_jobs "
        "WHERE state NOT IN ('succeeded', 'cancelled', 'dead') GROUP BY task, state"
    )
    end = time.monotonic() + seconds
    while rows := _rows(engine, left):
        assert time.monotonic() < end, f"jobs are left: {rows}"
        time.sleep(0.2)


def audit(engine: sa.Engine, mail: Path, load: Load, *, final: bool) -> Findings:
    """Look for everything that was acknowledged, and for everything that was not.

    `final` is whether an error was the last word: while the database is hurt, a commit may
    have happened although nobody could tell.
    """
    found = Findings()
    audit_orders(engine, mail, load.told, found, final=final)
    _dead(engine, found)
    _counts(engine, load, found, final=final)
    return found


def audit_orders(
    engine: sa.Engine, mail: Path, told: Told, found: Findings, *, final: bool
) -> None:
    """Look at orders and all that follows from them, and at actions."""
    _orders(engine, told, found, final=final)
    _actions(engine, told, found, final=final)
    _invoices(engine, found)
    _mails(engine, mail, found)
    _stock(engine, found)


def _orders(engine: sa.Engine, told: Told, found: Findings, *, final: bool) -> None:
    rows = _rows(engine, sa.text("SELECT customer_email, id FROM orders"))
    there = Counter(email for email, _ in rows)
    ids = {(email, str(id_)) for email, id_ in rows}
    for email, order in told.orders.items():
        if (email, order.id) not in ids:
            found.lost.append(f"the order {order.id} of {email}")
    for email, count in there.items():
        if count > 1:
            found.doubled.append(f"{count} orders of {email}")
        if email not in told.orders:
            _unacknowledged(
                f"an order of {email}",
                found,
                refused=email in told.refused_orders,
                doubtful=email in told.doubtful_orders,
                final=final,
            )


def _unacknowledged(
    what: str, found: Findings, *, refused: bool, doubtful: bool, final: bool
) -> None:
    """Judge what is there although nobody was told so."""
    if refused and final:
        found.half_done.append(f"{what}, which was refused")
    elif not refused and not doubtful:
        found.doubled.append(f"{what}, which nobody asked for")


def _actions(engine: sa.Engine, told: Told, found: Findings, *, final: bool) -> None:
    rows = _rows(engine, sa.text("SELECT user_id, count(*) FROM user_actions GROUP BY user_id"))
    there = dict(map(tuple, rows))
    for user in told.actions | told.doubtful_actions | told.refused_actions:
        least = told.actions[user]
        most = least + told.doubtful_actions[user] + (0 if final else told.refused_actions[user])
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
        if count > 1:
            found.doubled.append(f"{count} invoices of {id_}")
        if count < 1 or invoice != "ready":
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
    found.half_done.extend(f"a mail to {email}, who has no order" for email in set(sent) - emails)


def _stock(engine: sa.Engine, found: Findings) -> None:
    sums = sa.text("SELECT item_id, sum(quantity) FROM order_lines GROUP BY item_id")
    bought = dict(map(tuple, _rows(engine, sums)))
    for id_, left in _rows(engine, sa.text("SELECT id, quantity FROM items")):
        if left != STOCK - int(bought.get(id_, 0)):
            found.half_done.append(f"{id_}: {left} left, {bought.get(id_, 0)} bought")


def _dead(engine: sa.Engine, found: Findings) -> None:
    dead = "SELECT id, task, error_code FROM roadworthy_jobs WHERE state = 'dead'"
    for id_, task, code in _rows(engine, sa.text(dead)):
        found.lost.append(f"the job {id_} of {task}: {code}")


def _counts(engine: sa.Engine, load: Load, found: Findings, *, final: bool) -> None:
    of_counter = sa.text("SELECT attributes FROM items WHERE id = :id").bindparams(id=load.counter)
    ((attributes,),) = _rows(engine, of_counter)
    read = json.loads(attributes) if isinstance(attributes, str) else attributes
    told, there = load.told, read.get("n", 0)
    most = told.counted + told.doubtful_counts + (0 if final else told.refused_counts)
    if there < told.counted:
        found.lost.append(f"{told.counted - there} changes under If-Match")
    if there > most:
        found.doubled.append(f"{there - most} changes under If-Match")


def audit_documents(
    engine: sa.Engine, client: httpx.Client, told: Told, found: Findings, *, final: bool
) -> None:
    """Read every document that there is: whole, once, and only if somebody has sent it."""
    query = sa.text("SELECT filename, id, sha256, thumbnail FROM documents")
    rows = {str(row.filename): row for row in _rows(engine, query)}
    for name, document in told.documents.items():
        if name not in rows or rows[name].id != document.id:
            found.lost.append(f"the document {name}")
        elif rows[name].sha256 != document.sha256:
            found.half_done.append(f"the document {name}: another sum")
    for name, row in rows.items():
        _document(client, name, row, found)
        if name not in told.documents:
            _unacknowledged(
                f"the document {name}",
                found,
                refused=name in told.refused_documents,
                doubtful=name in told.doubtful_documents,
                final=final,
            )


def _document(client: httpx.Client, name: str, row: Any, found: Findings) -> None:
    answer = client.get(f"/documents/{row.id}/content")
    if not answer.is_success:
        found.lost.append(f"the content of {name}: {answer.status_code}")
    elif hashlib.sha256(answer.content).hexdigest() != row.sha256:
        found.half_done.append(f"the content of {name}: {len(answer.content)} bytes")
    if not client.get(f"/documents/{row.id}/thumbnail").is_success:
        found.lost.append(f"the thumbnail of {name}: {row.thumbnail}")


def _rows(engine: sa.Engine, query: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(query))
