"""Listen for jobs that other processes have enqueued, and tell them of ours."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from roadworthy._sqlalchemy import notices
from roadworthy._sqlalchemy.notices import can_listen
from roadworthy.jobs.table.signals import CHANNEL, Notice, notice_of

__all__ = ["can_listen", "listen", "notify"]


async def notify(engine: AsyncEngine, notice: Notice) -> None:
    """Tell the processes that listen; they look when they do anyway if this fails."""
    async with engine.begin() as connection:
        await connection.execute(notice_of(notice))


async def listen(engine: AsyncEngine, hear: Callable[[Notice], object]) -> None:
    """Call `hear` with every notice until cancelled; see `roadworthy._sqlalchemy.notices`."""
    await notices.listen(engine, CHANNEL, lambda payload: hear(_read(payload)))


def _read(payload: str) -> Notice:
    return "stop" if payload == "stop" else "jobs"
