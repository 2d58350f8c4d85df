"""Remove what has expired, every hour for as long as Depot runs."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Self

from roadworthy import idempotency
from roadworthy.database import Database
from roadworthy.problems import Problem

__all__ = ["Sweep"]

log = logging.getLogger(__name__)

_BATCH = 1000


class Sweep:
    """Give back the space of answers whose Idempotency-Key has expired."""

    def __init__(self, db: Database, *, every: timedelta = timedelta(hours=1)) -> None:
        self.db = db
        self.every = every.total_seconds()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.every)
            try:
                await self.sweep()
            except Problem:
                # The database is away: there is an hour until the next time.
                log.exception("expired keys were not removed")

    async def sweep(self) -> None:
        """Remove all that has expired, in transactions of a bounded size."""
        removed = _BATCH
        while removed == _BATCH:
            async with self.db.begin() as tx:
                removed = await idempotency.sweep(tx, limit=_BATCH)
