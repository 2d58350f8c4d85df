"""Read the audit log."""

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from depot.cursor import Position
from depot.users.models import Action, ActionPage
from depot.users.rows import ActionRow

__all__ = ["page"]


async def page(
    session: AsyncSession, user_id: str, *, limit: int, after: Position | None
) -> ActionPage:
    """Return up to `limit` actions of a user after a position, the newest first."""
    query = (
        select(ActionRow)
        .where(ActionRow.user_id == user_id)
        .order_by(ActionRow.at.desc(), ActionRow.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(tuple_(ActionRow.at, ActionRow.id) < (after.at, after.id))
    rows = (await session.scalars(query)).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return ActionPage(
        items=[Action.model_validate(row) for row in rows[:limit]],
        next_cursor=Position(last.at, last.id).text() if last else None,
    )
