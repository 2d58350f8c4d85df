"""Listen for what other processes have committed, by PostgreSQL's LISTEN and NOTIFY.

SQLite has no such thing, and needs none: looking costs it microseconds.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["can_listen", "listen", "notice"]

_log = logging.getLogger("roadworthy.notices")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_CHECK: Final = 20.0
"""Seconds of silence after which the connection is tried."""


def can_listen(units: object, engine: AsyncEngine) -> bool:
    """Return whether notices of PostgreSQL reach a connection: not behind a pooler, say."""
    return engine.dialect.name == "postgresql" and getattr(units, "can_listen", True)


def notice(channel: str, payload: str) -> TextClause:
    """Return the statement that tells the processes that listen, once it is committed.

    Args:
        channel: An identifier of ours; it is written into the statement.
        payload: A word of ours.
    """
    return text(f"NOTIFY {channel}, '{payload}'")


async def listen(engine: AsyncEngine, channel: str, hear: Callable[[str], object]) -> None:
    """Call `hear` with every payload until cancelled, on a connection kept for it.

    It is also called, with an empty payload, whenever the connection is new: something may
    have been missed.
    """
    pause = _FIRST_PAUSE
    while True:
        raw: Any = None
        try:
            async with engine.connect() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                # Not one of the pool any more: requests keep all of theirs.
                await connection.run_sync(lambda plain: plain.detach())
                pause = _FIRST_PAUSE
                await _hear(engine.dialect.driver, raw, channel, hear)
        except Exception as error:  # whatever a driver raises: polling goes on meanwhile
            _log.info("Not listening on %s: %s", channel, type(error).__name__)
        finally:
            await _close(raw)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _hear(driver: str, raw: Any, channel: str, hear: Callable[[str], object]) -> None:
    if driver == "asyncpg":
        await raw.add_listener(channel, _listener(hear))
        hear("")
        while True:
            await asyncio.sleep(_CHECK)
            await raw.execute("SELECT 1", timeout=_CHECK)
    await raw.set_autocommit(True)
    await raw.execute(f"LISTEN {channel}")
    hear("")
    while True:
        async for heard in raw.notifies(timeout=_CHECK):
            hear(str(heard.payload))
        await raw.execute("SELECT 1")


async def _close(raw: Any) -> None:
    """Close a connection that is no pool's, without waiting for a server that is gone."""
    if hasattr(raw, "terminate"):
        raw.terminate()
    elif raw is not None:
        await raw.close()


def _listener(hear: Callable[[str], object]) -> Callable[..., None]:
    def heard(connection: object, pid: int, channel: str, payload: object) -> None:
        hear(str(payload))

    return heard
