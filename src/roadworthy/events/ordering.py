"""Give events their positions: the one order in which all listeners are told of them.

On PostgreSQL transactions commit out of the order of their ids: who reads up to the highest
id misses what commits later with a lower one. So a row has no position when it is written.
Whoever sees committed rows without one gives them the next positions, in the order of their
ids, one process at a time; what commits later is seen later, and gets later ones. No writer
waits for that. Its price is one UPDATE of each row, in batches.

On SQLite one transaction writes at a time: a position is taken as the row is written.
"""

from typing import Any, Final

from sqlalchemy import Connection, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from roadworthy._sqlalchemy.dialects import insert_into
from roadworthy.events.tables import ORDER, order, table

__all__ = ["BATCH", "give_positions", "take_position"]

BATCH: Final = 1000
"""Events that get their positions in one transaction."""


def take_position(connection: Connection, number: int) -> int:
    """Take the next positions in a transaction that alone writes; return the last of them."""
    new = insert_into(order, connection.dialect.name).values(_FIRST | {"last": number})
    taken = new.on_conflict_do_update(
        index_elements=[order.c.name], set_={"last": order.c.last + number}
    )
    return int(connection.execute(taken.returning(order.c.last)).scalar_one())


async def give_positions(connection: AsyncConnection) -> tuple[int, bool]:
    """Give positions to committed events that have none; return how many, and if there are more.

    It is one statement, and commits by itself where the connection does (AUTOCOMMIT): so a
    process that stops in the middle never keeps the order from the others.
    """
    if await connection.scalar(_unordered) is None:
        return 0, False
    given = (await connection.execute(_give)).scalar_one_or_none()
    if given is None:
        await connection.execute(
            insert_into(order, "postgresql").values(_FIRST).on_conflict_do_nothing()
        )
        given = (await connection.execute(_give)).scalar_one_or_none() or 0
    # None of those that this one saw were left, as another process was first: it has to look anew.
    return given, given in {0, BATCH}


_FIRST: Final = {"name": ORDER, "last": 0, "pruned": 0}
_unordered: Final = select(table.c.id).where(table.c.position.is_(None)).limit(1)


def _giving() -> ReturningUpdate[Any]:
    held = select(order.c.last).where(order.c.name == ORDER).with_for_update().cte("held")
    # Materialized, and met by its ids: the statistics of the table say that hardly a row has no
    # position, and after a burst a plan for so few would read all of these for each of them.
    fresh = (
        select(table.c.id, func.row_number().over(order_by=table.c.id).label("number"))
        .where(table.c.position.is_(None))
        .order_by(table.c.id)
        .limit(BATCH)
        .cte("fresh")
        .prefix_with("MATERIALIZED")
    )
    # Another process may have given a position to a row while this one waited for the order:
    # the condition is asked again of the row as it is then, and the number is left out.
    given = (
        update(table)
        .where(table.c.id == fresh.c.id, func.coalesce(table.c.position, 0) == 0)
        .values(position=select(held.c.last).scalar_subquery() + fresh.c.number)
        .returning(table.c.position)
        .cte("given")
    )
    last, number = select(func.max(given.c.position)), select(func.count()).select_from(given)
    end = update(order).where(order.c.name == ORDER)
    end = end.values(last=func.greatest(order.c.last, last.scalar_subquery()))
    return end.returning(number.scalar_subquery())


_give: Final = _giving()
