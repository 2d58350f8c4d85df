"""Remove what has expired and what nobody names, for as long as Depot runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, Self

from depot.documents import keeping
from depot.documents.policies import PREFIXES
from roadworthy import idempotency
from roadworthy.database import Database
from roadworthy.uploads import Files

__all__ = ["Sweep"]

log = logging.getLogger(__name__)

_BATCH: Final = 1000
_SOON: Final = timedelta(seconds=5)
"""After the start, which has other things to do first."""
_OLD: Final = timedelta(hours=1)
"""A younger file may belong to a request, or a job, that has not committed yet."""


class Sweep:
    """Give back the space of expired Idempotency-Keys, and of files that no row names.

    Every process does so: what one removes is gone for the others, which is no error.
    """

    def __init__(
        self,
        db: Database,
        files: Files,
        *,
        first: timedelta = _SOON,
        every: timedelta = timedelta(hours=1),
    ) -> None:
        self.db, self.files = db, files
        self.first, self.every = first.total_seconds(), every.total_seconds()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(self.first)
        while True:
            await self._try("expired keys", self.sweep_keys)
            await self._try("files that no row names", self.sweep_files)
            await asyncio.sleep(self.every)

    async def _try(self, what: str, sweep: Callable[[], Awaitable[object]]) -> None:
        try:
            await sweep()
        except Exception:  # the database or the store is away, whatever its driver raises
            log.exception("%s were not removed; there is another time", what)

    async def sweep_keys(self) -> None:
        """Remove all expired keys, in transactions of a bounded size."""
        removed = _BATCH
        while removed == _BATCH:
            async with self.db.begin() as tx:
                removed = await idempotency.sweep(tx, limit=_BATCH)

    async def sweep_files(self) -> None:
        """Remove files that no row names; what else may be in the store is left alone."""
        for prefix in PREFIXES:
            removed = await self.files.sweep(self._named, older_than=_OLD, prefix=prefix)
            if removed:
                log.info("%d files in %s that no row names were removed", removed, prefix)

    async def _named(self, keys: Sequence[str]) -> set[str]:
        async with self.db.read() as session:
            return await keeping.named(session, keys)
