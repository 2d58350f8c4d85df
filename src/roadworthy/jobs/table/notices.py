"""Listen for jobs that other processes have enqueued, by PostgreSQL's LISTEN and NOTIFY.

SQLite has no such thing, and needs none: looking costs it microseconds.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from roadworthy.jobs.table.signals import CHANNEL, Notice, notice_of

__all__ = ["can_listen", "listen", "notify"]

_log = logging.getLogger("roadworthy.jobs")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_CHECK: Final = 20.0
"""Seconds of silence after which the connection is tried."""


def can_listen(units: object, engine: AsyncEngine) -> bool:
    """Return whether notices of PostgreSQL reach a connection: not behind a pooler, say."""
    return engine.dialect.name == "postgresql" and getattr(units, "can_listen", True)


async def notify(engine: AsyncEngine, notice: Notice) -> None:
    """Tell the processes that listen; they look when they do anyway if this fails."""
    async with engine.begin() as connection:
        await connection.execute(notice_of(notice))


async def listen(engine: AsyncEngine, hear: Callable[[Notice], object]) -> None:
    """Call `hear` with every notice until cancelled, on a connection kept for it.

    It is also called whenever the connection is new: something may have been missed.
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
                await _hear(engine.dialect.driver, raw, hear)
        except Exception as error:  # whatever a driver raises: polling goes on meanwhile
            _log.info("Not listening for jobs of other processes: %s", type(error).__name__)
        finally:
            await _close(raw)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _hear(driver: str, raw: Any, hear: Callable[[Notice], object]) -> None:
    if driver == "asyncpg":
        await raw.add_listener(CHANNEL, _listener(hear))
        hear("jobs")
        while True:
            await asyncio.sleep(_CHECK)
            await raw.execute("SELECT 1", timeout=_CHECK)
    await raw.set_autocommit(True)
    await raw.execute(f"LISTEN {CHANNEL}")
    hear("jobs")
    while True:
        async for notice in raw.notifies(timeout=_CHECK):
            hear(_read(notice.payload))
        await raw.execute("SELECT 1")


async def _close(raw: Any) -> None:
    """Close a connection that is no pool's, without waiting for a server that is gone."""
    if hasattr(raw, "terminate"):
        raw.terminate()
    elif raw is not None:
        await raw.close()


def _listener(hear: Callable[[Notice], object]) -> Callable[..., None]:
    def heard(connection: object, pid: int, channel: str, payload: object) -> None:
        hear(_read(payload))

    return heard


def _read(payload: object) -> Notice:
    return "stop" if payload == "stop" else "jobs"
