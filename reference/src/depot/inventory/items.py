"""Find items, and page through them."""

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from depot.cursor import Position
from depot.inventory.models import Item, ItemPage, is_item_id
from depot.inventory.problems import ItemNotFound
from depot.inventory.rows import ItemRow

__all__ = ["find", "lock", "page"]


async def find(session: AsyncSession, item_id: str) -> ItemRow:
    """Return the item's row.

    Raises:
        ItemNotFound: 404.
    """
    return _found(await session.get(ItemRow, item_id) if is_item_id(item_id) else None)


async def lock(tx: AsyncSession, item_id: str) -> ItemRow:
    """Return the item's row, which nobody else changes until this transaction ends.

    Raises:
        ItemNotFound: 404.
    """
    if not is_item_id(item_id):
        raise ItemNotFound
    return _found(await tx.get(ItemRow, item_id, with_for_update=True))


async def page(
    session: AsyncSession, *, limit: int, after: Position | None, is_active: bool | None
) -> ItemPage:
    """Return up to `limit` items after a position, the newest first."""
    place = tuple_(ItemRow.created_at, ItemRow.id)
    query = select(ItemRow).order_by(ItemRow.created_at.desc(), ItemRow.id.desc())
    if after is not None:
        query = query.where(place < (after.at, after.id))
    if is_active is not None:
        query = query.where(ItemRow.is_active == is_active)
    rows = (await session.scalars(query.limit(limit + 1))).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return ItemPage(
        items=[Item.model_validate(row) for row in rows[:limit]],
        next_cursor=Position(last.created_at, last.id).text() if last else None,
    )


def _found(row: ItemRow | None) -> ItemRow:
    if row is None:
        raise ItemNotFound
    return row
