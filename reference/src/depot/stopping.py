"""Share the grace seconds among all that has to end in them, one after the other."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from depot.settings import Settings

__all__ = ["Grace"]

CLOSING_SECONDS = 2
"""Seconds kept at most for closing connections and files."""

_REQUESTS, _JOBS, _DATABASE = 0.5, 0.35, 0.15


@dataclass(frozen=True, slots=True)
class Grace:
    """The time that each thing has to end; together they stay within the grace seconds."""

    requests: timedelta
    """Requests that are running; who is not done by then is cut off."""
    jobs: timedelta
    """Jobs that are running; who is not done by then goes back to the queue."""
    database: timedelta
    """Units of work that are still open then."""

    @classmethod
    def of_server(cls, settings: Settings) -> Self:
        """Share what the drain leaves."""
        left = _without_closing(settings.shutdown.grace_seconds - settings.drain_seconds)
        return cls(left * _REQUESTS, left * _JOBS, left * _DATABASE)

    @classmethod
    def of_worker(cls, settings: Settings) -> Self:
        """Share all of it: a worker has no requests, and nothing to drain."""
        left = _without_closing(settings.shutdown.grace_seconds)
        return cls(timedelta(), left * (_REQUESTS + _JOBS), left * _DATABASE)


def _without_closing(seconds: float) -> timedelta:
    return timedelta(seconds=seconds - min(CLOSING_SECONDS, seconds / 4))
