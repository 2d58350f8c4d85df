"""RQ's engine."""

from collections.abc import Mapping
from typing import Final

from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.jobs.engines.rq import RqEngine

__all__ = ["PREFIX", "engine"]

PREFIX: Final = "depot."
"""The first part of the names of Depot's queues at the broker."""


def engine(settings: Settings, grace: Grace, *, queue_limits: Mapping[str, int]) -> RqEngine:
    """Return the engine, for the server, for `depot worker` and for its processes."""
    url = str(settings.jobs.broker_url)
    return RqEngine(url, prefix=PREFIX, grace=grace.jobs, queue_limits=queue_limits)
