"""`KnownHealth`: the part of `Health` that probes read; nothing in it waits."""

from collections.abc import Sequence
from typing import Protocol

from roadworthy.health.check_state import CheckState
from roadworthy.health.streams import Streams

__all__ = ["KnownHealth"]


class KnownHealth(Protocol):
    """The state of a service, as the probes and their ASGI layer read it."""

    version: str | None
    started: bool
    streams: Streams

    @property
    def alive(self) -> bool:
        """Return whether the event loop runs."""
        ...

    @property
    def draining(self) -> bool:
        """Return whether the service is about to stop."""
        ...

    @property
    def check_states(self) -> Sequence[CheckState]:
        """Return the state of each check."""
        ...

    def is_operator(self, authorization: str | None) -> bool:
        """Return whether a client may read the reasons of failures."""
        ...
