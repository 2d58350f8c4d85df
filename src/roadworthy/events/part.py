"""`Events`: the part that settles the order of events, tells who listens, and prunes."""

import asyncio
import logging
import random
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from roadworthy._internal.durations import duration
from roadworthy.events.feed import Feed, HasEngine
from roadworthy.events.pruning import BATCH, prune
from roadworthy.events.signals import Waker, listen, unlisten

__all__ = ["Events"]

_log = logging.getLogger("roadworthy.events")

_PRUNE_SECONDS: Final = 60.0


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

    Raises:
        TypeError: `database` is none, or a time is no timedelta.
        ValueError: A time or a number is not above zero.
    """

    def __init__(
        self,
        database: HasEngine,
        *,
        keep: timedelta = timedelta(days=1),
        at_most: int = 10_000,
        heartbeat: timedelta = timedelta(seconds=15),
    ) -> None:
        duration(keep, "keep", example="timedelta(days=1)")
        duration(heartbeat, "heartbeat", example="timedelta(seconds=15)")
        if at_most < 1:
            raise ValueError(f"at_most is {at_most}, and has to be at least 1.")
        self._database, self._keep = database, keep
        self.at_most = at_most
        self.heartbeat = heartbeat
        self.feed = Feed(database)
        self._waker = Waker(self.feed.wake)
        self._running = list[asyncio.Task[None]]()

    @property
    def database(self) -> HasEngine:
        """Where the events are."""
        return self._database

    async def __aenter__(self) -> Self:
        """Begin to tell."""
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

    async def _prune(self) -> None:
        while True:
            # Not at the same moment as all the other processes.
            await asyncio.sleep(_PRUNE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
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
