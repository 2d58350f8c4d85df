"""`Broker`: what is asked of a message broker, to write an engine for it.

The how-to page "Write an engine" shows one whole.
"""

from typing import Protocol

from roadworthy.jobs.broker.message import Doorbell

__all__ = ["Broker"]


class Broker(Protocol):
    """A way to worker processes; all calls block, and come from one thread at a time.

    Any of them may raise whatever its driver raises when the broker is away. Each has to end
    within 30 seconds, by deadlines of its own: a broker that hangs holds up its thread.
    """

    def ring(self, queue: str, bells: list[Doorbell]) -> int:
        """Send doorbells of one queue; return how many messages then wait there.

        It returns when the broker has taken all of them, and raises where it may not have.
        """
        ...

    def waiting(self, queue: str) -> int:
        """Return how many messages of a queue no worker has taken."""
        ...

    def close(self) -> None:
        """Close the connection; called once, when the engine stops."""
        ...
