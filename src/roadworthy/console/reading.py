"""Read for a page: on a connection outside of the pool, for a short time, a few at once.

On the day when the pool is exhausted, the console is what one looks at.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from roadworthy.database import Database
from roadworthy.problems import ServiceUnavailable

__all__ = ["SECONDS", "reading"]

SECONDS: Final = 3.0
"""How long the statements of a page may take together."""


@asynccontextmanager
async def reading(database: object, *, seconds: float = SECONDS) -> AsyncGenerator[AsyncConnection]:
    """Lend a connection for reading; nothing is committed.

    Args:
        database: A `Database`, or what else has an `engine`.
        seconds: How long all of it may take.

    Raises:
        TimeoutError: It took longer.
        Problem: 503: the database does not answer.
    """
    async with asyncio.timeout(seconds), _connection(database) as connection:
        yield connection


def _connection(database: object) -> AbstractAsyncContextManager[AsyncConnection]:
    if isinstance(database, Database):
        return database.apart()
    engine: AsyncEngine | None = getattr(database, "engine", None)
    if engine is None:
        raise ServiceUnavailable
    return engine.connect()
