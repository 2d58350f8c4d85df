"""`BrokerEngine`: what engines have in common whose jobs run in workers of others.

One engine is either of two things. In a worker process it hears doorbells, and runs what
they tell of; wherever else it is started, in a server say, it rings them.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from roadworthy._internal.durations import duration
from roadworthy.jobs.broker.consumer import Consumer
from roadworthy.jobs.broker.message import Broker, Doorbell
from roadworthy.jobs.broker.relay import BrokerAway, Relay, Ringing
from roadworthy.jobs.durations import check_times
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.loop import Limits
from roadworthy.jobs.worker.loop_thread import Hosts, NotOpen, Parts

__all__ = ["BrokerEngine", "BrokerLimits"]

_PATIENCE: Final = timedelta(seconds=1)
"""How long a doorbell waits for a place before another process may have it."""
_PAUSE: Final = 1.0
"""Seconds before a worker process that could not open its parts hears the next doorbell."""
_BATCH: Final = 25

_log = logging.getLogger("roadworthy.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """How much a worker process does at a time, and how long it waits."""

    concurrency: int
    threads: int
    processes: int
    transactions: int
    queue_limits: Mapping[str, int] | None
    lease: timedelta
    poll: timedelta
    again: timedelta
    grace: timedelta
    process_setup: Callable[[], object] | None

    def __post_init__(self) -> None:
        places = (self.concurrency, self.threads, self.processes, self.transactions)
        if min(*places, *(self.queue_limits or {}).values()) < 1:
            raise ValueError("concurrency, threads, processes, transactions, limits: 1 at least.")
        check_times(lease=self.lease, poll=self.poll, grace=self.grace)
        again = "timedelta(seconds=10)"
        duration(self.again, "again", example=again, above=timedelta(0))

    @property
    def limits(self) -> Limits:
        """What a worker process keeps to."""
        return Limits(
            at_a_time={"loop": self.concurrency, "thread": self.threads, "cpu": self.processes},
            transactions=self.transactions,
            queues=None,
            queue_limits=dict(self.queue_limits or {}),
            lease=self.lease,
            poll=self.poll,
            grace=self.grace,
            process_setup=self.process_setup,
        )

    @property
    def ringing(self) -> Ringing:
        """How a relay rings."""
        return Ringing(
            # Short jobs only: one message is worked off by one process.
            batches={"loop": _BATCH, "thread": max(1, self.threads // 2), "cpu": 1},
            lease=self.lease,
            again=self.again,
            poll=self.poll,
        )


class BrokerEngine:
    """Hear doorbells in worker processes, and ring them over a broker elsewhere."""

    def __init__(self, bounds: BrokerLimits) -> None:
        self._bounds = bounds
        self._relay: Relay | None = None
        self._hearing: Consumer | None = None
        self._hosts: Hosts | None = None

    def _broker(self) -> Broker:
        """Return the way to the workers; nothing is connected yet."""
        raise NotImplementedError

    def _host(self, parts: Parts) -> Hosts:
        """Have worker processes open `parts()`."""
        if self._hosts is not None:
            raise RuntimeError("This engine is registered already. Make one for each application.")
        self._hosts = Hosts(parts)
        return self._hosts

    async def start(self, work: JobsContext) -> None:
        """Begin to hear doorbells in a worker process, and to ring them elsewhere."""
        if self._relay is not None or self._hearing is not None:
            kind = type(self).__name__
            raise RuntimeError(f"This {kind} runs already. Make one for each Jobs.")
        if self._hosts is not None and self._hosts.here:
            self._hearing = Consumer(work, self._bounds.limits)
            await self._hearing.start()
        else:
            self._relay = Relay(work, self._broker(), self._bounds.ringing)
            await self._relay.start()

    async def stop(self) -> None:
        """Ring no more, or run no more: what does not end within the grace is given back."""
        relay, self._relay = self._relay, None
        hearing, self._hearing = self._hearing, None
        if relay is not None:
            await relay.stop()
        if hearing is not None:
            await hearing.stop()

    def wake(self) -> None:
        """Ring for what has been enqueued."""
        if self._relay is not None:
            self._relay.wake()

    def recheck(self) -> None:
        """Look now whether a running job was cancelled."""
        if self._hearing is not None:
            self._hearing.recheck()

    @property
    def has_room(self) -> bool:
        """Whether this process rings: then no other need hear of its jobs."""
        return self._relay is not None

    async def ping(self) -> None:
        """Ask the broker whether it is there, for a health check.

        Raises:
            BrokerAway: It is not; jobs are kept meanwhile.
        """
        if self._relay is None:
            raise BrokerAway("Nothing rings here: no Jobs with this engine is open.")
        await self._relay.ping()

    def _hear(self, bell: Doorbell) -> str | None:
        """Claim what a doorbell tells of, and return None, or why another should hear it.

        It is called in threads of a worker process, and blocks. Once a job is claimed, its
        row keeps it: then the doorbell may be forgotten.
        """
        if self._hosts is None:
            return "No parts are registered."
        try:
            answered = self._hosts.here_or_begun().call(lambda: self._claim(bell))
        except NotOpen as error:
            if error.__cause__ is not None:  # it does not just end
                _log.error("This worker process cannot run jobs", exc_info=error.__cause__)
                self._hosts.forget()
                time.sleep(_PAUSE)
            return str(error)
        return None if answered else "There is no place for another job here."

    async def _claim(self, bell: Doorbell) -> bool:
        if self._hearing is None:
            return False  # it is about to stop
        return await self._hearing.hear(bell, patience=_PATIENCE)
