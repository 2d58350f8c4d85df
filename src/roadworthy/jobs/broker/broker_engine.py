"""`BrokerEngine`: the common part of engines over a message broker.

An engine does one of two things. In a worker process of the broker, it receives doorbells and
runs jobs. In other processes, such as a server, it sends doorbells.
"""

import logging
import time
from datetime import timedelta
from typing import Final, Unpack

from roadworthy._internal.keywords import defaults_of, refuse_unknown, shows_keywords
from roadworthy.jobs.broker.broker import Broker
from roadworthy.jobs.broker.consumer import Consumer
from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.broker.relay import BrokerAway, Relay, Ringing
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.loop_thread import NotOpen, PartsFactory, ProcessParts
from roadworthy.jobs.worker.options import BrokerLimits, BrokerOptions

__all__ = ["BrokerEngine"]

_PATIENCE: Final = timedelta(seconds=1)
"""How long a doorbell waits for a free slot before another process may have it."""
_PAUSE: Final = 1.0
"""Seconds that a worker process pauses after it could not open its parts."""
_BATCH: Final = 25

_log = logging.getLogger("roadworthy.jobs")


class BrokerEngine:
    """Receive doorbells in worker processes, and send them over a broker elsewhere.

    To write an engine, subclass this class. Return a `Broker` from `broker`, and add a method,
    such as `register`, that has worker processes call `open_in_workers` when they start and
    `hear` for each message. The keywords are those of `BrokerOptions`.

    Raises:
        TypeError: There is no such option, or its value is of another type.
        ValueError: An option is out of its range.
    """

    @shows_keywords(defaults_of(BrokerLimits))
    def __init__(self, **options: Unpack[BrokerOptions]) -> None:
        refuse_unknown(type(self).__name__, options, defaults_of(BrokerLimits))
        self._limits = BrokerLimits(**options)
        self._relay: Relay | None = None
        self._consumer: Consumer | None = None
        self._parts: ProcessParts | None = None

    def broker(self) -> Broker:
        """Return the connection to the broker, which connects with its first call."""
        raise NotImplementedError

    def open_in_workers(self, parts: PartsFactory) -> ProcessParts:
        """Have worker processes open `parts()`, and return the holder of the parts.

        Call `begin` of the holder when a worker process starts, and `end` when it ends.

        Raises:
            RuntimeError: The engine has parts already.
        """
        if self._parts is not None:
            raise RuntimeError("This engine is registered already. Make one for each application.")
        self._parts = ProcessParts(parts)
        return self._parts

    def hear(self, bell: Doorbell) -> str | None:
        """Claim the jobs of a doorbell; return None, or why another worker should have it.

        Call this in a thread of a worker process: it blocks for about a second. After it has
        returned None, the message may be acknowledged, because the rows keep the jobs.
        """
        if self._parts is None:
            return "No parts are registered."
        try:
            claimed = self._parts.here_or_begun().call(lambda: self._claim(bell))
        except NotOpen as error:
            if error.__cause__ is not None:  # an error, and not the end of the process
                _log.error("This worker process cannot run jobs", exc_info=error.__cause__)
                self._parts.forget()
                time.sleep(_PAUSE)
            return str(error)
        return None if claimed else "There is no place for another job here."

    async def start(self, work: JobsContext) -> None:
        """Begin to receive doorbells in a worker process, or to send them elsewhere."""
        if self._relay is not None or self._consumer is not None:
            kind = type(self).__name__
            raise RuntimeError(f"This {kind} runs already. Make one for each Jobs.")
        if self._parts is not None and self._parts.here:
            self._consumer = Consumer(work, self._limits)
            await self._consumer.start()
        else:
            self._relay = Relay(work, self.broker(), _ringing(self._limits))
            await self._relay.start()

    async def stop(self) -> None:
        """Stop sending, or running; jobs that do not end within the grace are given back."""
        relay, self._relay = self._relay, None
        consumer, self._consumer = self._consumer, None
        if relay is not None:
            await relay.stop()
        if consumer is not None:
            await consumer.stop()

    def wake(self) -> None:
        """Send doorbells for enqueued jobs now."""
        if self._relay is not None:
            self._relay.wake()

    def recheck(self) -> None:
        """Check now whether a running job was cancelled."""
        if self._consumer is not None:
            self._consumer.recheck()

    @property
    def has_room(self) -> bool:
        """Whether this process sends doorbells: then no other process need be notified."""
        return self._relay is not None

    async def ping(self) -> None:
        """Check that the broker answers, for a health check.

        Raises:
            BrokerAway: The broker does not answer; jobs are kept meanwhile.
        """
        if self._relay is None:
            raise BrokerAway("Nothing rings here: no Jobs with this engine is open.")
        await self._relay.ping()

    async def _claim(self, bell: Doorbell) -> bool:
        if self._consumer is None:
            return False  # the engine is about to stop
        return await self._consumer.claim_for(bell, patience=_PATIENCE)


def _ringing(limits: BrokerLimits) -> Ringing:
    """Return how a relay sends doorbells to workers with these limits."""
    assert limits.poll is not None  # noqa: S101 - it has a default
    return Ringing(
        # Several jobs in a message only if they are short: one process runs them all.
        batches={"loop": _BATCH, "thread": max(1, limits.threads // 2), "cpu": 1},
        lease=limits.lease,
        again=limits.again,
        poll=limits.poll,
    )
