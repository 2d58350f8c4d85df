"""Celery's engine, and the Celery application whose broker it uses."""

from collections.abc import Mapping
from typing import Any, Final

# Celery has no types.
# pyright: reportMissingTypeStubs=false
from celery import Celery  # type: ignore[import-untyped]

from depot.settings import Settings
from depot.stopping import Grace
from roadworthy.jobs.engines.celery import CeleryEngine

__all__ = ["PREFIX", "app", "engine"]

PREFIX: Final = "depot."
"""The first part of the names of Depot's queues at the broker."""


def app(settings: Settings) -> Any:
    """Return the Celery application, of which only the broker is used."""
    made: Any = Celery("depot", broker=settings.jobs.broker_url, set_as_current=False)
    made.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return made


def engine(app: Any, grace: Grace, *, queue_limits: Mapping[str, int]) -> CeleryEngine:
    """Return the engine, for the server, for `depot worker` and for its processes."""
    return CeleryEngine(app, prefix=PREFIX, grace=grace.jobs, queue_limits=queue_limits)
