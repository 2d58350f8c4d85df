"""Stream the ledger, as much of it as there is, in little memory."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select, tuple_

from depot import money, times
from depot.orders.rows import LedgerRow
from depot.reports.period import Period
from roadworthy.database import Database

__all__ = ["as_csv"]

BATCH: Final = 500
"""Entries read at once. The connection goes back before they are sent: a client may take long."""

_COLUMNS: Final = ("order_id", "item_id", "quantity", "unit_price", "amount", "created_at")


async def as_csv(db: Database, period: Period) -> AsyncIterator[str]:
    """Yield the header, then the entries of a period in the order of their time."""
    yield _csv([_COLUMNS])
    after = (datetime.combine(period.first, datetime.min.time(), UTC), 0)
    until = times.now()  # what is sold from now on would keep a slow reader busy for ever
    while entries := await _read(db, after, until):
        yield _csv([_cells(entry) for entry in entries])
        after = (entries[-1].created_at, entries[-1].id)
        if len(entries) < BATCH:
            return


async def _read(db: Database, after: tuple[datetime, int], until: datetime) -> Sequence[Any]:
    query = (
        select(*(LedgerRow.__table__.c[name] for name in _COLUMNS), LedgerRow.id)
        .where(tuple_(LedgerRow.created_at, LedgerRow.id) > after, LedgerRow.created_at <= until)
        .order_by(LedgerRow.created_at, LedgerRow.id)
        .limit(BATCH)
    )
    async with db.read(replica=True) as session:
        return (await session.execute(query)).all()


def _cells(entry: Any) -> tuple[str, ...]:
    return (
        entry.order_id,
        entry.item_id,
        str(entry.quantity),
        money.text(entry.unit_price),
        money.text(entry.amount),
        times.text(entry.created_at),
    )


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
