"""A day of things that went wrong, so that the demo's console has something to show.

They are invented, as the orders are; the job that died really did, of a mailbox that is full.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from depot import times
from depot.mail.files import FULL
from depot.orders.models import NewLine, NewOrder
from depot.orders.placing import place
from depot.orders.tasks import send_confirmation
from roadworthy import problem_log

__all__ = ["add_history"]

_KINDS: Final[tuple[tuple[int, str, str, str, int, str], ...]] = (
    (422, "VALIDATION_FAILED", "PATCH", "/inventory/{item_id}", 30, ""),
    (412, "PRECONDITION_FAILED", "PATCH", "/inventory/{item_id}", 12, ""),
    (409, "INSUFFICIENT_STOCK", "POST", "/orders", 9, ""),
    (404, "ITEM_NOT_FOUND", "GET", "/inventory/{item_id}", 20, ""),
    (415, "UNSUPPORTED_MEDIA_TYPE", "POST", "/documents", 6, "not_taken"),
    (422, "FILE_REJECTED", "POST", "/documents", 4, "trailing_data"),
    (413, "PAYLOAD_TOO_LARGE", "POST", "/documents", 3, ""),
    (503, "SERVICE_UNAVAILABLE", "POST", "/orders", 2, ""),
)
"""Status, code, method, route, how many of it there were, and the reason of a refusal."""
_CALLERS: Final = ("5b1f0c9a7d2e4468", "c04e88d1f3a9b672", "9e27aa41d0c35f18")
_CUT_OFF: Final = "asyncpg.exceptions.ConnectionDoesNotExistError"
_MINUTES: Final = 24 * 60


async def add_history(tx: AsyncSession) -> None:
    """Add problems of the last day, and an order whose confirmation will be refused."""
    dice = Random(3)  # noqa: S311 - the same demo everywhere
    problems = list(_problems(dice))
    await tx.execute(insert(problem_log.table), problems)
    await tx.execute(insert(problem_log.counts), list(_counts(problems)))
    lines = [NewLine(item_id="item-004", quantity=1)]
    order = await place(tx, NewOrder(customer_email=FULL, lines=lines))
    await send_confirmation.enqueue(tx, order_id=order.id)


def _problems(dice: Random) -> Iterator[dict[str, Any]]:
    now = times.now()
    for status, code, method, route, number, reason in _KINDS:
        for _ in range(number):
            at = now - timedelta(minutes=dice.randint(2, _MINUTES))
            yield {
                "id": _id(at, dice),
                "at": at,
                "status": status,
                "code": code,
                "method": method,
                "route": route,
                "request_id": f"{dice.getrandbits(128):032x}",
                "caller": dice.choice(_CALLERS),
                "exception": _CUT_OFF if code == "SERVICE_UNAVAILABLE" else None,
                "traceback": None,
                "stands_for": 1,
                "reason": reason or None,
            }


def _counts(problems: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Count them by the quarter of an hour and kind, as the problem log does."""
    kinds = ("code", "status", "route", "reason")
    counted = Counter(
        (_quarter(row["at"]), *(row[name] or "" for name in kinds)) for row in problems
    )
    for (begins_at, *kind), number in counted.items():
        row = dict(zip(kinds, kind, strict=True))
        yield {**row, "begins_at": begins_at, "problems": number}


def _quarter(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def _id(at: datetime, dice: Random) -> str:
    """Return an id that sorts by its time (UUID version 7, RFC 9562 §5.7)."""
    milliseconds = int(at.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | dice.getrandbits(62)))
