"""`Events`: the part that settles the order of events, tells who listens, and prunes."""

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncEngine

from roadworthy._internal.durations import check_size, duration
from roadworthy._sqlalchemy.missing import check_tables
from roadworthy._sqlalchemy.transactions import not_a_database
from roadworthy.events.feed import Feed, HasEngine
from roadworthy.events.pruning import BATCH, prune
from roadworthy.events.signals import Waker, listen, unlisten
from roadworthy.events.state import EventsState
from roadworthy.events.tables import metadata
from roadworthy.problems import ServiceUnavailable

__all__ = ["Events"]

_log = logging.getLogger("roadworthy.events")

_PRUNE_SECONDS: Final = 60.0
_LATER: Final = 5
"""Seconds after which somebody for whom there is no room comes again."""


class Events:
    """Tell clients what was published: a part, opened after the database.

        db = Database("sqlite:///shop.db")
        app = FastAPI(lifespan=lifespan(db, Events(db)))

    Every process that publishes or has streams opens one.

    Args:
        database: A `Database`, an `AsyncEngine` of SQLAlchemy, or anything that has `engine`.
        keep: How long events are kept for clients that come back; who comes later is told of
            a gap.
        at_most: Clients that listen in this process; one more is answered 503.
        heartbeat: How often an idle stream says that it is there.
        patience: How long a client may leave unread what it is sent; then its stream is ended,
            and it comes back to be told what it missed.

    Raises:
        TypeError: `database` is none, `at_most` is no number, or a time is no timedelta.
        ValueError: A time or a number is not above zero.
    """

    def __init__(
        self,
        database: HasEngine | AsyncEngine,
        *,
        keep: timedelta = timedelta(days=1),
        at_most: int = 10_000,
        heartbeat: timedelta = timedelta(seconds=15),
        patience: timedelta = timedelta(seconds=30),
    ) -> None:
        zero = timedelta(0)
        duration(keep, "keep", example="timedelta(days=1)", above=zero)
        duration(heartbeat, "heartbeat", example="timedelta(seconds=15)", above=zero)
        duration(patience, "patience", example="timedelta(seconds=30)", above=zero)
        check_size("at_most", at_most)
        self._database, self._keep = _with_engine(database), keep
        self._at_most = at_most
        self.heartbeat = heartbeat
        self.patience = patience
        self.feed = Feed(self._database)
        self._waker = Waker(self.feed.wake)
        self._running = list[asyncio.Task[None]]()

    @property
    def database(self) -> HasEngine:
        """Where the events are."""
        return self._database

    @property
    def state(self) -> EventsState:
        """Return how many listen in this process, and how late they are told."""
        feed = self.feed
        return EventsState(feed.listeners, self._at_most, feed.topics, feed.lag)

    def check_room(self) -> None:
        """Refuse one client more than may listen here.

        Raises:
            ServiceUnavailable: 503: there is no room.
        """
        if self.feed.listeners >= self._at_most:
            raise ServiceUnavailable(retry_after=_LATER)

    async def __aenter__(self) -> Self:
        """Begin to tell.

        Raises:
            RuntimeError: The database lacks a table of events; the text says what to do.
        """
        await check_tables(self._database.engine, metadata, migration="events")
        self.feed.start()
        listen(self._waker)
        self._running = [
            asyncio.create_task(self.feed.run(), name="roadworthy events"),
            asyncio.create_task(self._prune(), name="roadworthy events: pruning"),
        ]
        self.feed.wake()  # a process may have died between its commit and its round
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell nobody any more; what was published meanwhile is told by other processes."""
        unlisten(self._waker)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.feed.stop()

    async def _prune(self) -> None:
        while True:
            # Not at the same moment as all the other processes.
            await asyncio.sleep(_PRUNE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            self.feed.wake()  # what a process left that died behind its commit grows old, too
            try:
                await self._prune_all()
            except Exception as error:  # whatever a driver raises: there is another time
                _log.warning("Old events cannot be removed: %s", type(error).__name__)

    async def _prune_all(self) -> None:
        removed = BATCH
        while removed == BATCH:
            async with self._database.engine.begin() as connection:
                removed = await prune(connection, keep=self._keep)
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _Only:
    engine: AsyncEngine


def _with_engine(database: HasEngine | AsyncEngine) -> HasEngine:
    if problem := not_a_database(database, "Events"):
        raise TypeError(problem)
    # It has an `engine` as well, which is the synchronous one.
    return _Only(database) if isinstance(database, AsyncEngine) else database
