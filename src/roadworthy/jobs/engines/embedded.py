"""`Embedded`: run jobs in this process, from the table alone. No broker is needed."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import cast

from roadworthy.jobs.durations import check_times
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.loop import Limits, Loop

__all__ = ["Embedded", "NoHeartbeat"]


class NoHeartbeat(RuntimeError):
    """The heartbeat of an engine does not reach the table of jobs."""


class Embedded:
    """Run jobs in the process that it is started in.

    `concurrency` coroutines, `threads` and worker `processes` at a time (one less than
    the processors, unless given); of the coroutines at most `transactions` hold one that
    completes its job, so that jobs never take all connections of the pool. `queues` are
    those it serves: all there are, unless given; of those that `queue_limits` names it runs
    no more at a time, so that one slow server cannot take every place. A job whose worker sends no
    heartbeat for the time of `lease` is run again by another. `poll` is how often to look
    for jobs of other processes; jobs of this process, and any with PostgreSQL's LISTEN,
    are started at once. `grace` is how long stopping lets jobs end before it gives them
    back. `process_setup` is called in each worker process, to configure its logging, say.
    """

    def __init__(
        self,
        *,
        concurrency: int = 50,
        threads: int = 8,
        processes: int | None = None,
        transactions: int = 5,
        queues: Sequence[str] | None = None,
        queue_limits: Mapping[str, int] | None = None,
        lease: timedelta = timedelta(seconds=15),
        poll: timedelta | None = None,
        grace: timedelta = timedelta(seconds=10),
        process_setup: Callable[[], object] | None = None,
    ) -> None:
        processes = processes or max(1, (os.cpu_count() or 2) - 1)
        if min(concurrency, threads, processes, transactions, *(queue_limits or {}).values()) < 1:
            raise ValueError("concurrency, threads, processes, transactions, limits: 1 at least.")
        check_times(lease=lease, poll=poll, grace=grace)
        _check_queues(queues)
        self._limits = Limits(
            at_a_time={"loop": concurrency, "thread": threads, "cpu": processes},
            transactions=transactions,
            queues=None if queues is None else tuple(queues),
            queue_limits=dict(queue_limits or {}),
            lease=lease,
            poll=poll,
            grace=grace,
            process_setup=process_setup,
        )
        self._loop: Loop | None = None

    async def start(self, work: JobsContext) -> None:
        """Begin to run jobs."""
        if self._loop is not None:
            raise RuntimeError("This Embedded runs already. Make one for each Jobs.")
        self._loop = Loop(work, self._limits)
        await self._loop.start()

    async def stop(self) -> None:
        """Claim no more; let what runs end within the grace, and give back what does not."""
        loop, self._loop = self._loop, None
        if loop is not None:
            await loop.stop()

    async def beats(self) -> None:
        """Return if the heartbeat reaches the table: what `Jobs.ping` asks.

        Raises:
            NoHeartbeat: It has not for longer than a lease: others may run the jobs of here.
        """
        if self._loop is None:
            raise NoHeartbeat("No jobs are run here: no Jobs with this engine is open.")
        if self._loop.silence > self._limits.lease:
            seconds = self._loop.silence.total_seconds()
            raise NoHeartbeat(f"The heartbeat has not reached the table for {seconds:.0f} s.")

    def wake(self) -> None:
        """Look for jobs now."""
        if self._loop is not None:
            self._loop.wake()

    def recheck(self) -> None:
        """Look now whether a running job was cancelled."""
        if self._loop is not None:
            self._loop.recheck()

    @property
    def has_room(self) -> bool:
        """Whether another job of any tier would run at once."""
        return self._loop is not None and self._loop.has_room


def _check_queues(queues: object) -> None:
    """Refuse what would serve no queue, or one for each letter of a name."""
    if queues is None:
        return
    if isinstance(queues, str) or not isinstance(queues, Sequence):
        raise TypeError(f"queues is {queues!r}, and has to be a list of names: queues=['default'].")
    named = cast("Sequence[object]", queues)
    if not named or not all(isinstance(name, str) and name for name in named):
        raise ValueError(f"queues is {queues!r}: name one at least, or leave it out to serve all.")
