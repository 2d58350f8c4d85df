"""The states of a job, and every way from one to another.

This table is the one that the ledger moves rows by; docs/explanation/jobs.md shows it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FINISHED", "TRANSITIONS", "WAITING", "State", "Transition"]


class State(StrEnum):
    """Where a job stands."""

    SCHEDULED = "scheduled"
    """Waits for its time: a delay, or the pause before another attempt."""
    QUEUED = "queued"
    """Waits for a worker."""
    RUNNING = "running"
    """A worker holds its lease."""
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    """Failed for good; stays until somebody looks: `roadworthy jobs dead`."""
    CANCELLED = "cancelled"
    PARKED = "parked"
    """No worker so far knows its task, or it is paused; the first that may run it queues it."""
    BLOCKED = "blocked"
    """Is due, and waits for a place under the limit of its task."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One way from some states to another."""

    source: tuple[State, ...]
    target: State
    why: str


WAITING: Final = (State.SCHEDULED, State.QUEUED, State.PARKED, State.BLOCKED)
"""States in which a job waits and nobody runs it."""

FINISHED: Final = (State.SUCCEEDED, State.DEAD, State.CANCELLED)
"""States that a job leaves only by `retry`."""

TRANSITIONS: Final[dict[str, Transition]] = {
    "promote": Transition((State.SCHEDULED,), State.QUEUED, "its time has come"),
    "admit": Transition((State.BLOCKED,), State.QUEUED, "there is a place under its limit"),
    "claim": Transition((State.QUEUED,), State.RUNNING, "a worker takes it, with a lease"),
    "succeed": Transition((State.RUNNING,), State.SUCCEEDED, "it returned"),
    "again": Transition((State.RUNNING,), State.SCHEDULED, "it failed and has attempts left"),
    "bury": Transition((State.RUNNING,), State.DEAD, "it failed for good"),
    "release": Transition((State.RUNNING,), State.QUEUED, "its worker stops; no attempt is used"),
    "rescue": Transition((State.RUNNING,), State.QUEUED, "its lease ended: the worker is gone"),
    "park": Transition(
        (State.RUNNING,), State.PARKED, "the worker does not know its task, or it is paused"
    ),
    "unpark": Transition(
        (State.PARKED,), State.QUEUED, "a worker knows its task, and it is not paused"
    ),
    "cancel": Transition(WAITING, State.CANCELLED, "somebody cancelled it before it ran"),
    "stop": Transition((State.RUNNING,), State.CANCELLED, "somebody cancelled it as it ran"),
    "dismiss": Transition(
        (State.DEAD, State.PARKED), State.CANCELLED, "an operator put it away for good"
    ),
    "retry": Transition(
        (State.DEAD, State.CANCELLED, State.PARKED), State.QUEUED, "somebody wants it once more"
    ),
}
"""Every transition by its name. An enqueued job begins as scheduled, queued or blocked.

A job with a limit is blocked where another is queued, but for `admit`.
"""
