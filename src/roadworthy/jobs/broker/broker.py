"""`Broker`: the protocol to implement for an engine over another message broker.

The how-to page "Write an engine" has a complete example.
"""

from typing import Protocol

from roadworthy.jobs.broker.message import Doorbell

__all__ = ["Broker"]


class Broker(Protocol):
    """A connection to a broker; calls block, and come from one thread at a time.

    A call may raise whatever the driver raises when the broker is away. It has to end within 30
    seconds, by deadlines of its own: while a broker hangs, its thread is blocked.
    """

    def ring(self, queue: str, bells: list[Doorbell]) -> int:
        """Send doorbells to one queue, and return how many messages wait there then.

        Return when the broker has taken all of them, and raise if it may not have.
        """
        ...

    def waiting(self, queue: str) -> int:
        """Return how many messages of a queue wait for a worker."""
        ...

    def close(self) -> None:
        """Close the connection; called once, when the engine stops."""
        ...
