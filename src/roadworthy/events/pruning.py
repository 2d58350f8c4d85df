"""Take old events out of the table, a few at a time: nobody waits long for that."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import earlier, utc
from roadworthy.events.tables import ORDER, order, table

__all__ = ["BATCH", "prune"]

BATCH: Final = 500
"""Events that one transaction removes."""


async def prune(connection: AsyncConnection, *, keep: timedelta) -> int:
    """Remove the oldest events that are older than `keep`; return how many.

    Only from the beginning of the order: what is told as pruned is gone, and nothing else is.
    Two processes may be at it: the later one finds the events gone. The order is held from
    the last statement to the commit only, as whoever gives positions waits for it.
    """
    before = earlier(await _now(connection), keep)
    pruned = await connection.scalar(_pruned)
    if pruned is None:
        return 0
    rows = (await connection.execute(_oldest, {"after": pruned})).all()
    old = list(takewhile(lambda row: utc(row.at) < before, rows))
    if old:
        last = {"until": old[-1].position}
        await connection.execute(_remove, last)
        await connection.execute(_note, last)
    return len(old)


async def _now(connection: AsyncConnection) -> datetime:
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    return utc((await connection.execute(select(func.clock_timestamp()))).scalar_one())


_pruned: Final = select(order.c.pruned).where(order.c.name == ORDER)
_oldest: Final = (
    select(table.c.position, table.c.at)
    .where(table.c.position > bindparam("after"))
    .order_by(table.c.position)
    .limit(BATCH)
)
_remove: Final = delete(table).where(table.c.position <= bindparam("until"))
_note: Final = (
    update(order)
    .where(order.c.name == ORDER, order.c.pruned < bindparam("until"))
    .values(pruned=bindparam("until"))
)
