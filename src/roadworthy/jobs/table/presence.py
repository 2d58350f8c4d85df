"""`Presence`: the row by which a worker is known to operators, while it lives."""

import json
import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import bindparam, delete
from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import earlier, later
from roadworthy._sqlalchemy.dialects import insert_into
from roadworthy.jobs.table.tables import workers

__all__ = ["Presence", "Role", "forget_silent"]

Role: TypeAlias = Literal["worker", "relay"]
"""A worker runs jobs; a relay rings a broker's workers for them."""

_KEPT: Final = timedelta(days=1)
"""How long the row of a worker is kept that has gone without a word."""
_MAX_HOST: Final = 100
_MAX_VERSION: Final = 100


class Presence:
    """Write the row of a worker with each heartbeat, and remove it at the end.

    Args:
        name: The name that its leases bear.
        role: `"worker"`, or `"relay"` where others run the jobs.
        version: The version of the application, if `Jobs` was told.
    """

    def __init__(self, name: str, *, role: Role, version: str | None) -> None:
        self._row: dict[str, Any] = {
            "name": name,
            "host": socket.gethostname()[:_MAX_HOST],
            "pid": os.getpid(),
            "role": role,
            "version": None if version is None else version[:_MAX_VERSION],
        }
        self._started_at: datetime | None = None

    async def write(
        self, db: AsyncConnection, now: datetime, *, queues: Sequence[str], lease: timedelta
    ) -> None:
        """Say that this worker lives, and by when its next word is due."""
        self._started_at = self._started_at or now
        row = self._row | {"queues": json.dumps(list(queues)), "started_at": self._started_at}
        row |= {"seen_at": now, "expected_at": later(now, lease)}
        await db.execute(_upsert(db.dialect.name), row)

    async def remove(self, db: AsyncConnection) -> None:
        """Take the row away: this worker has ended as it should."""
        await db.execute(_remove, {"of": self._row["name"]})


async def forget_silent(db: AsyncConnection, now: datetime) -> None:
    """Remove the rows of workers that have been silent for a day."""
    await db.execute(_sweep, {"before": earlier(now, _KEPT)})


@cache
def _upsert(dialect: str) -> Any:
    new = insert_into(workers, dialect)
    changed = {name: new.excluded[name] for name in ("seen_at", "expected_at", "queues")}
    return new.on_conflict_do_update(index_elements=["name"], set_=changed)


_remove = delete(workers).where(workers.c.name == bindparam("of"))
_sweep = delete(workers).where(workers.c.seen_at < bindparam("before"))
