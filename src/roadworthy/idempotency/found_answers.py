"""Find the answers that were kept for a request, for operators: without what was answered."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from roadworthy.idempotency.answers_table import table

__all__ = ["FoundAnswer", "of_request"]

Here: TypeAlias = AsyncSession | AsyncConnection
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """An answer that repeats of a request are given."""

    route: str
    """The method and the template, such as `POST /orders`."""
    status: int
    expires_at: datetime
    """When the key is free again, in UTC."""


async def of_request(session: Here, request_id: str) -> list[FoundAnswer]:
    """Return the answers that were kept when this request was the first with its key.

    Repeats have request ids of their own, which are kept nowhere, and keys are stored as
    hashes only.
    """
    columns = (table.c.route, table.c.status, table.c.expires_at_ms)
    query = sa.select(*columns).where(table.c.request_id == request_id).limit(_MOST)
    return [
        FoundAnswer(route, status, datetime.fromtimestamp(expires / 1000, UTC))
        for route, status, expires in await session.execute(query)
    ]
