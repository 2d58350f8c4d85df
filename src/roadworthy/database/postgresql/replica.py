"""`Replica`: a server for reads that need not see the last commit.

Where it takes no connection, the primary is asked in its place, and the replica is left
alone for a while: then one reader tries it again, and all follow once that has worked.
"""

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import text

__all__ = ["Replica", "lag"]

_log = logging.getLogger("roadworthy.database")

_PAUSE: Final = 5.0
"""Seconds until somebody tries a replica again that was away."""
_STRAY: Final = "roadworthy.stray"
"""Set where a connection leads to the primary: it serves who got it, and is dropped then."""
_LAG: Final = text(
    "SELECT pg_is_in_recovery(),"
    " CASE WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()"
    " AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0"
    " ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END"
)


class Replica:
    """The engines of a replica; where it cannot be reached, the primary is used."""

    def __init__(
        self,
        engine: AsyncEngine,
        lone: AsyncEngine,
        *,
        primary: Mapping[str, Any],
    ) -> None:
        self.whole, self.lone = engine, lone
        self.engine = engine.execution_options(postgresql_readonly=True)
        self._primary = primary
        self._away_until = 0.0
        event.listen(engine.sync_engine, "do_connect", self._connect)
        event.listen(engine.sync_engine, "checkout", self._check_out)
        event.listen(engine.sync_engine, "handle_error", self._note)

    def may_be_asked(self) -> bool:
        """Return whether to read here; after a failure, one reader at a time tries."""
        now = monotonic()
        if now < self._away_until:
            return False
        if self._away_until:
            self._away_until = now + _PAUSE
        return True

    def _connect(
        self, dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]
    ) -> Any:
        try:
            connection = dialect.connect(*arguments, **options)
        except (OSError, TimeoutError, dialect.loaded_dbapi.Error) as error:
            self._is_away(error)
            record.info[_STRAY] = "new"
            return dialect.connect(**self._primary)
        record.info[_STRAY] = None
        return connection

    def _check_out(self, _: Any, record: Any, __: Any) -> None:
        if record.info.get(_STRAY) == "used":
            raise exc.DisconnectionError  # it leads to the primary: it is time to try again
        if record.info.get(_STRAY) == "new":
            record.info[_STRAY] = "used"
        else:
            self._is_there()

    def _note(self, context: Any) -> None:
        if context.is_disconnect:
            self._is_away(context.original_exception)

    def _is_away(self, error: BaseException | None) -> None:
        if not self._away_until:
            _log.warning("The replica is away, the primary is read: %s", type(error).__name__)
        self._away_until = monotonic() + _PAUSE

    def _is_there(self) -> None:
        if self._away_until:
            _log.warning("The replica is back.")
        self._away_until = 0.0


async def lag(engine: AsyncEngine) -> float | None:
    """Return the seconds that a replica is behind; None if the server is none."""
    async with engine.connect() as connection:
        replica, seconds = (await connection.execute(_LAG)).one()
    return float(seconds or 0.0) if replica else None
