"""The options of engines: how much a worker does at a time, and how long it waits.

This is the one place to add another: name its type and say what it does in one of the first
three classes, and give its default in the class below that has the same name.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypedDict, cast

from roadworthy._internal.durations import duration
from roadworthy.jobs.task_options import RunsOn

__all__ = [
    "BrokerLimits",
    "BrokerOptions",
    "EmbeddedLimits",
    "EmbeddedOptions",
    "WorkerLimits",
    "WorkerOptions",
]

_SHORTEST_LEASE: Final = timedelta(seconds=1)
"""The shortest lease: heartbeats have to arrive in time."""


class WorkerOptions(TypedDict, total=False):
    """The options of every engine; each counts for one worker process.

    - `concurrency`: how many coroutines run at a time; 50 unless given.
    - `threads`: how many functions with `runs_on="thread"` run at a time; 8 unless given.
    - `transactions`: how many coroutines at a time hold the transaction that completes their
      job, so that jobs never take all connections of the pool; 5 unless given.
    - `queue_limits`: how many jobs of a queue run at a time, whatever the tier, such as
      `{"mails": 5}`, so that one slow server cannot take up every slot.
    - `lease`: how long after a heartbeat of its worker a job counts as running; then another
      worker runs it again. 15 seconds unless given, and 1 second at least.
    - `grace`: how long stopping lets jobs end before it gives them back; 10 seconds unless given.
    - `process_setup`: a function of a module, called in each process that `runs_on="cpu"` starts:
      for example to configure logging.
    """

    concurrency: int
    threads: int
    transactions: int
    queue_limits: Mapping[str, int] | None
    lease: timedelta
    grace: timedelta
    process_setup: Callable[[], object] | None


class EmbeddedOptions(WorkerOptions, total=False):
    """The options of `Embedded`: those of `WorkerOptions` and these.

    - `processes`: how many functions with `runs_on="cpu"` run at a time, each in a process of
      its own; one less than there are processors unless given.
    - `queues`: the queues that are served; all queues unless given.
    - `poll`: how often to look for jobs of other processes. Jobs of this process, and with
      PostgreSQL's LISTEN those of any other, start at once. 0.25 seconds on SQLite and 2 on
      PostgreSQL unless given.
    """

    processes: int | None
    queues: Sequence[str] | None
    poll: timedelta | None


class BrokerOptions(WorkerOptions, total=False):
    """The options of an engine with a broker: those of `WorkerOptions` and these.

    - `processes`: how many functions with `runs_on="cpu"` run at a time, each in a process of
      its own; 1 unless given.
    - `poll`: how often a process that sends doorbells looks at the table; 0.25 seconds unless
      given.
    - `again`: after how long a doorbell that no worker has taken is sent once more; 10 seconds
      unless given.
    """

    processes: int
    poll: timedelta
    again: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """The options of one worker, checked.

    Raises:
        ValueError: An option is out of its range.
        TypeError: A duration is no timedelta; the text names it.
    """

    concurrency: int = 50
    threads: int = 8
    processes: int | None = None
    transactions: int = 5
    queue_limits: Mapping[str, int] | None = None
    lease: timedelta = timedelta(seconds=15)
    poll: timedelta | None = None
    grace: timedelta = timedelta(seconds=10)
    process_setup: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        places = (*self.at_a_time.values(), self.transactions)
        if min(*places, *(self.queue_limits or {}).values()) < 1:
            raise ValueError("concurrency, threads, processes, transactions, limits: 1 at least.")
        duration(self.lease, "lease", example="timedelta(seconds=15)", least=_SHORTEST_LEASE)
        duration(self.grace, "grace", example="timedelta(seconds=10)", least=timedelta(0))
        if self.poll is not None:
            duration(self.poll, "poll", example="timedelta(seconds=2)", above=timedelta(0))

    @property
    def at_a_time(self) -> dict[RunsOn, int]:
        """How many jobs run at a time on each tier."""
        processes = max(1, (os.cpu_count() or 2) - 1) if self.processes is None else self.processes
        return {"loop": self.concurrency, "thread": self.threads, "cpu": processes}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedLimits(WorkerLimits):
    """The options of an `Embedded`, checked."""

    queues: Sequence[str] | None = None

    def __post_init__(self) -> None:
        WorkerLimits.__post_init__(self)  # with slots there is no `super()` in here
        _check_queues(self.queues)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits(WorkerLimits):
    """The options of an engine with a broker, checked."""

    processes: int | None = 1
    poll: timedelta | None = timedelta(seconds=0.25)
    again: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        WorkerLimits.__post_init__(self)
        again = "timedelta(seconds=10)"
        duration(self.again, "again", example=again, above=timedelta(0))


def _check_queues(queues: object) -> None:
    """Refuse an empty list of queues, and a text, which would be a queue for each letter."""
    if queues is None:
        return
    if isinstance(queues, str) or not isinstance(queues, Sequence):
        raise TypeError(f"queues is {queues!r}, and has to be a list of names: queues=['default'].")
    named = cast("Sequence[object]", queues)
    if not named or not all(isinstance(name, str) and name for name in named):
        raise ValueError(f"queues is {queues!r}: name one at least, or leave it out to serve all.")
