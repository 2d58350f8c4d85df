"""`Feed`: the one reader of a process: it settles the order, and serves all who listen here."""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from anyio import CancelScope
from sqlalchemy.ext.asyncio import AsyncEngine

from roadworthy._internal.finish import to_its_end
from roadworthy._sqlalchemy import notices
from roadworthy.events import metrics, wire
from roadworthy.events.listener import Listener
from roadworthy.events.ordering import give_positions
from roadworthy.events.place import NOWHERE, Place
from roadworthy.events.reading import KeptEvent, Page, last_place, read_page
from roadworthy.events.signals import CHANNEL

__all__ = ["Feed", "HasEngine"]

T = TypeVar("T")

_log = logging.getLogger("roadworthy.events")

_PAGE: Final = 500
"""Events that one statement reads for all who listen."""
_TOGETHER: Final = 0.01
"""Seconds between two rounds: one serves all that was committed meanwhile."""
_LOOK: Final = 1.0
"""Seconds after which events are looked for that no notice told of."""
_LOOK_ALONE: Final = 0.25
"""The same where no notices come: on SQLite, and through a pooler."""
_PAUSES: Final = (0.2, 5.0)
"""Seconds to wait after a failure: at first, and at most."""
_DEADLINE: Final = 20.0
"""Seconds for one statement: a server that took over does not answer on the old connection."""


class HasEngine(Protocol):
    """A `Database`, or what else has an engine."""

    @property
    def engine(self) -> AsyncEngine:
        """The engine for writing."""
        ...


class Feed:
    """Read new events once for all listeners of this process, and hand them out.

    While nobody listens, nothing is read; positions are given all the same, by whichever
    process has committed an event.

    Args:
        database: Where the events are.
    """

    def __init__(self, database: HasEngine) -> None:
        self._database = database
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._clients = 0
        self.lag: float | None = None
        """Seconds from publishing the last event to handing it out."""
        self.place: Place = NOWHERE
        """The last event that was handed out, or that nobody here wanted."""
        self._is_reading = False
        self._starting = asyncio.Lock()
        self._woken = asyncio.Event()
        self._hears: asyncio.Task[None] | None = None
        self._ending = set[asyncio.Task[None]]()

    def start(self) -> None:
        """Note the event loop, which `wake` may be called outside of."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    async def stop(self) -> None:
        """Hear of nothing any more."""
        self._stop_hearing()
        # Their connections are closed when they have ended, and not by the collector.
        await asyncio.gather(*self._ending, return_exceptions=True)
        await asyncio.sleep(0)

    @property
    def listeners(self) -> int:
        """Return how many clients listen in this process."""
        return self._clients

    @property
    def topics(self) -> int:
        """Return how many topics somebody listens to in this process."""
        return len(self._listeners)

    def wake(self) -> None:
        """Look for events now; may be called from any thread."""
        if threading.get_ident() == self._thread:
            self._woken.set()
        else:
            with suppress(RuntimeError):  # the loop is closed, and whoever commits goes on
                self._loop.call_soon_threadsafe(self._woken.set)

    @contextmanager
    def joined(self, listener: Listener) -> Generator[None]:
        """Hand events to a listener for as long as the context lasts."""
        for topic in listener.topics:
            self._listeners[topic].add(listener)
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)
            for topic in listener.topics:
                self._leave(topic, listener)

    async def begin(self) -> Place:
        """Return the place up to which this feed has handed out all; it reads from now on.

        Whoever has joined before is handed all that comes behind it, or falls behind.
        """
        async with self._starting:
            if not self._is_reading:
                self.place = await _unbroken(self._last_place())
                self._is_reading = True
                self._woken.set()  # what came meanwhile was left to this
        return self.place

    async def page(self, after: Place, topics: Collection[str], *, limit: int) -> Page:
        """Return the next events of these topics behind a place, by one short look.

        A client that leaves meanwhile does not break it off: a driver that is cancelled as it
        lends a connection may lose that.
        """
        return await _unbroken(self._page(after, topics, limit))

    async def _page(self, after: Place, topics: Collection[str], limit: int) -> Page:
        async with asyncio.timeout(_DEADLINE), self._reading.connect() as connection:
            return await read_page(connection, after, topics, limit=limit)

    async def _last_place(self) -> Place:
        async with asyncio.timeout(_DEADLINE), self._reading.connect() as connection:
            return await last_place(connection)

    async def run(self) -> None:
        """Settle the order and hand out events until cancelled."""
        pause, most = _PAUSES
        while True:
            await self._wait()
            self._woken.clear()
            try:
                await self._round()
                pause = _PAUSES[0]
            except Exception as error:  # whatever a driver raises: who listens waits meanwhile
                _log.warning("Events cannot be read: %s", type(error).__name__)
                self._woken.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, most)
            await asyncio.sleep(_TOGETHER)

    async def _wait(self) -> None:
        """Wait until woken; while somebody listens, not for long."""
        look = _LOOK if self._can_hear else _LOOK_ALONE
        with suppress(TimeoutError):
            async with asyncio.timeout(look if self._clients else None):
                await self._woken.wait()

    @property
    def _reading(self) -> AsyncEngine:
        engine: AsyncEngine = getattr(self._database, "read_engine", self._database.engine)
        return engine

    @property
    def _can_hear(self) -> bool:
        return notices.can_listen(self._database, self._database.engine)

    async def _round(self) -> None:
        if self._database.engine.dialect.name == "postgresql":
            await self._settle()
        if self._is_reading:
            await self._hand_out()

    async def _settle(self) -> None:
        """Give positions to all that is committed, and tell the other processes."""
        more = True
        while more:
            async with asyncio.timeout(_DEADLINE), self._database.engine.connect() as plain:
                connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
                given, more = await give_positions(connection)
                if given:
                    await connection.execute(notices.notice(CHANNEL, "ordered"))

    async def _hand_out(self) -> None:
        more = True
        while more and self._clients:
            asked = frozenset(self._listeners)
            page = await self.page(self.place, asked, limit=_PAGE)
            # Who joined meanwhile, for what was not asked for, may have read before this did.
            self._fall_behind(self._listeners.keys() - asked)
            if page.follows(self.place):
                self._give(page.events)
            else:
                self._fall_behind(asked)
            self.place = page.reached
            more = page.is_full

    def _give(self, found: list[KeptEvent]) -> None:
        for event in found:
            listeners = self._listeners.get(event.topic)
            if listeners:
                place, chunk = event.place, wire.encode(event)
                for listener in listeners:
                    listener.push(place, chunk)
                # The clock of the database may be ahead of this one.
                self.lag = max(0.0, (datetime.now(UTC) - event.at).total_seconds())
                metrics.delivered(self.lag)

    def _fall_behind(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for listener in self._listeners.get(topic, ()):
                listener.fall_behind()

    def _leave(self, topic: str, listener: Listener) -> None:
        self._listeners[topic].discard(listener)
        if not self._listeners[topic]:
            del self._listeners[topic]

    def _count(self, change: int) -> None:
        self._clients += change
        metrics.listening(self._clients)
        if self._clients == 1 and change == 1:
            self._begin_to_hear()
            self._woken.set()  # the wait has no end while nobody listens
        elif not self._clients:
            self._is_reading = False
            self._stop_hearing()

    def _begin_to_hear(self) -> None:
        if self._can_hear and self._hears is None:
            self._hears = asyncio.create_task(self._hear(), name="roadworthy events: notices")

    def _stop_hearing(self) -> None:
        hears, self._hears = self._hears, None
        if hears is not None:
            self._ending.add(hears)
            hears.add_done_callback(self._ending.discard)
            hears.cancel()

    async def _hear(self) -> None:
        """Wake with every notice of another process until cancelled."""
        await notices.listen(self._database.engine, CHANNEL, lambda _: self._woken.set())


async def _unbroken(look: Coroutine[Any, Any, T]) -> T:
    """Await a short look to its end, whoever cancels."""
    found = list[T]()
    with CancelScope(shield=True):  # else anyio would cancel again at each turn of the loop
        found.append(await to_its_end(look))
    return found[0]
