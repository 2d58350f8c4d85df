"""`Listener`: one client that listens, and what waits for it: a bounded number of events."""

import asyncio
from collections import deque
from typing import Final

from roadworthy.events.place import NOWHERE, Place

__all__ = ["Listener"]

_MAX_EVENTS: Final = 256
_MAX_BYTES: Final = 1024 * 1024


class Listener:
    """One client of a stream.

    Where more waits than may, all of that is let go: it is in the table, and the client is told
    it from there.

    Args:
        topics: What it listens to.
    """

    __slots__ = ("_bytes", "_waiting", "at", "is_behind", "ready", "topics")

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.at = NOWHERE
        """The last place that it was told of, or before which nothing is for it."""
        self.ready = asyncio.Event()
        """Set while something waits, or it is behind."""
        self.is_behind = False
        """Whether it has to read from the table what it was not given."""
        self._waiting: deque[tuple[Place, bytes]] = deque()
        self._bytes = 0

    def push(self, place: Place, chunk: bytes) -> None:
        """Add an event; where too much waits already, nothing waits any more."""
        if self.is_behind:
            return
        self._waiting.append((place, chunk))
        self._bytes += len(chunk)
        self.ready.set()
        if len(self._waiting) > _MAX_EVENTS or self._bytes > _MAX_BYTES:
            self.fall_behind()

    def fall_behind(self) -> None:
        """Let go of what waits: it has to be read from the table."""
        self.is_behind = True
        self._empty()
        self.ready.set()

    def begin_to_collect(self) -> None:
        """Keep what is given from now on: what comes before is read from the table now."""
        self.is_behind = False
        self._empty()

    def take(self) -> bytes:
        """Return all that waits and is behind `at`, as one chunk, and move `at` on."""
        chunks = list[bytes]()
        for place, chunk in self._waiting:
            if place.position > self.at.position:
                chunks.append(chunk)
                self.at = place
        self._empty()
        return b"".join(chunks)

    def _empty(self) -> None:
        self._waiting.clear()
        self._bytes = 0
        self.ready.clear()
