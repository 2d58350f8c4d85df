"""The OpenTelemetry metrics of jobs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from roadworthy._metric_instruments import counter, gauge, histogram

__all__ = ["backlog", "ended", "enqueued", "started"]

_METER: Final = "roadworthy.jobs"

_ENQUEUED: Final = "roadworthy.jobs.enqueued"
_STARTED: Final = "roadworthy.jobs.started"
_ENDED: Final[Mapping[str, str]] = {
    "succeeded": "roadworthy.jobs.succeeded",
    "retried": "roadworthy.jobs.retried",
    "dead": "roadworthy.jobs.dead",
    "cancelled": "roadworthy.jobs.cancelled",
    "parked": "roadworthy.jobs.parked",
    "released": "roadworthy.jobs.released",
    "lost": "roadworthy.jobs.lost",
}
"""The counter of each outcome of an attempt."""
_WAIT: Final = "roadworthy.jobs.wait"
_DURATION: Final = "roadworthy.jobs.duration"
_DEPTH: Final = "roadworthy.jobs.depth"
_AGE: Final = "roadworthy.jobs.age"

_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0)
"""Boundaries of the histograms: jobs take from milliseconds to hours."""


def enqueued(task: str, queue: str, count: int) -> None:
    """Count jobs that were enqueued; some of them may be rolled back."""
    if count:
        counter(_METER, _ENQUEUED, "{job}", "Jobs that were enqueued.").add(
            count, _labels(task, queue)
        )


def started(task: str, queue: str, waited: timedelta) -> None:
    """Count an attempt that begins, and how long the job has been due."""
    labels = _labels(task, queue)
    counter(_METER, _STARTED, "{job}", "Attempts that began.").add(1, labels)
    histogram(_METER, _WAIT, _SECONDS, "From when a job was due to its start.").record(
        max(0.0, waited.total_seconds()), labels
    )


def ended(task: str, queue: str, outcome: str, seconds: float) -> None:
    """Count an attempt that ended as succeeded, retried, dead and so on."""
    labels = _labels(task, queue)
    counter(_METER, _ENDED[outcome], "{job}", f"Attempts that ended as {outcome}.").add(1, labels)
    histogram(_METER, _DURATION, _SECONDS, "How long an attempt took.").record(
        seconds, {**labels, "outcome": outcome}
    )


def backlog(queue: str, *, depth: int, oldest: timedelta) -> None:
    """Set how many jobs of a queue wait, and for how long the oldest of them."""
    gauge(_METER, _DEPTH, "{job}", "Jobs that are due and wait.").set(depth, {"queue": queue})
    gauge(_METER, _AGE, "s", "How long the oldest of them has waited.").set(
        oldest.total_seconds(), {"queue": queue}
    )


def _labels(task: str, queue: str) -> dict[str, str]:
    return {"task": task, "queue": queue}
