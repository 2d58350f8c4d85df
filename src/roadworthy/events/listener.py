"""`Listener`: one client that listens, and what waits for it: a bounded number of events."""

import asyncio
from collections import deque
from typing import Final

__all__ = ["MAX_BYTES", "MAX_EVENTS", "Listener"]

MAX_EVENTS: Final = 256
MAX_BYTES: Final = 1024 * 1024


class Listener:
    """One client of a stream.

    Args:
        topics: What it listens to.
    """

    __slots__ = ("_bytes", "_waiting", "at", "ready", "slow", "topics")

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.at = 0
        """The last position that it was given, or does not want."""
        self.ready = asyncio.Event()
        """Set while something waits."""
        self.slow = asyncio.Event()
        """Set once more waits than may: it has to come back, and is told all it missed then."""
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0

    def push(self, position: int, chunk: bytes) -> None:
        """Add an event; where too much waits already, nothing waits any more."""
        if self.slow.is_set():
            return
        self._waiting.append((position, chunk))
        self._bytes += len(chunk)
        self.ready.set()
        if len(self._waiting) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._waiting.clear()
            self.slow.set()

    def take(self) -> bytes:
        """Return all that waits and is behind `at`, as one chunk, and move `at` on."""
        chunks = list[bytes]()
        while self._waiting:
            position, chunk = self._waiting.popleft()
            if position > self.at:
                chunks.append(chunk)
                self.at = position
        self._bytes = 0
        self.ready.clear()
        return b"".join(chunks)
