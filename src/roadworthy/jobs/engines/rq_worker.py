"""`Worker`: an RQ worker with a process beside it for the jobs of Roadworthy."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

from roadworthy._internal.extras import extra

with extra("rq", of="roadworthy.jobs.engines.rq"):
    from redis.exceptions import ConnectionError as RedisAway
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisLate
    from rq.intermediate_queue import IntermediateQueue
    from rq.job import Job
    from rq.worker import Worker as OfRq

from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.engines.rq_broker import bell_in
from roadworthy.jobs.engines.rq_sidecar import Answers, Sent, Sidecar

__all__ = ["Hears", "Worker", "made_for"]

_AWAY: Final = (RedisAway, RedisLate)
_PAUSE: Final = 1.0
"""Seconds between two tries while Redis is away."""
_BLOCKED: Final = 15
"""Seconds that a worker waits for a job: so it notices a dead connection."""

_log = logging.getLogger("roadworthy.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hears:
    """The engine of a worker, as functions."""

    prefix: str
    grace: timedelta
    begin: Callable[[], object]
    """Begin to open the parts, in the process that runs jobs."""
    hear: Callable[[Doorbell], str | None]
    """Claim the jobs of a doorbell; return why another worker should have it, or None."""
    end: Callable[[], object]
    """Close the parts, in the process that runs jobs."""


class Worker(OfRq):
    """Run the jobs of RQ as RQ's `Worker` does, and receive doorbells.

    The worker goes on after Redis was away; RQ's own ends if that happens between two jobs.
    """

    hears: ClassVar[Hears]
    serves: ClassVar[tuple[str, ...]]
    max_connection_wait_time = 5.0
    """The most seconds between two tries to reach Redis."""

    def __init__(self, queues: Any, *args: Any, **kwargs: Any) -> None:
        made: Any = super()
        made.__init__(queues, *args, **kwargs)
        answers = Answers(self.hears.begin, self._answer, self.hears.end)
        self._beside = Sidecar(answers, grace=self.hears.grace.total_seconds())
        if self.queues and not any(
            queue.name.startswith(self.hears.prefix) for queue in self.queues
        ):
            self._add(self.serves)

    def _add(self, names: tuple[str, ...]) -> None:
        options: dict[str, Any] = {"connection": self.connection, "serializer": self.serializer}
        self.queues += [self.queue_class(name, **options) for name in names]
        self._ordered_queues = self.queues[:]

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Start the process beside the worker, before there are threads, and sign on."""
        self._beside.begin()
        try:
            super().bootstrap(*args, **kwargs)
        except BaseException:
            self._beside.end()
            raise

    @property
    def dequeue_timeout(self) -> int:
        """The seconds that the worker waits for a job."""
        return min(super().dequeue_timeout, _BLOCKED)

    def execute_job(self, job: Any, queue: Any) -> None:
        """Pass a doorbell on, or let RQ run any other job in a process of its own."""
        bell = bell_in(job)
        if bell is None:
            super().execute_job(job, queue)
        else:
            self._beside.pass_on(Sent(job.id, queue.key, bell))

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while workers are suspended, or Redis is away."""
        while True:
            try:
                super().check_for_suspension(burst)
            except _AWAY as error:
                self.log.warning("Worker %s: Redis is away: %s", self.name, error)
                time.sleep(_PAUSE)
            else:
                return

    def run_maintenance_tasks(self) -> None:
        """Run RQ's maintenance, unless Redis is away."""
        with suppress(*_AWAY):
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call] # RQ's

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Send the heartbeat of the worker, unless Redis is away."""
        with suppress(*_AWAY):
            super().heartbeat(*args, **kwargs)

    def set_state(self, *args: Any, **kwargs: Any) -> None:
        """Write the state of the worker, unless Redis is away."""
        with suppress(*_AWAY):
            super().set_state(*args, **kwargs)

    def teardown(self) -> None:
        """End the process beside the worker, give back open doorbells, and sign off."""
        if not self.is_horse:
            for sent in self._beside.end():
                self._settle(sent, heard=False)
        with suppress(*_AWAY):
            super().teardown()  # type: ignore[no-untyped-call] # RQ's

    def _answer(self, sent: Sent) -> None:
        """Receive a doorbell, in a thread of the process that runs jobs."""
        unheard = self.hears.hear(sent.bell)
        if unheard is not None:
            self.log.debug("Worker %s: %s", self.name, unheard)
        self._settle(sent, heard=unheard is None)

    def _settle(self, sent: Sent, *, heard: bool) -> None:
        """Remove a doorbell, or put it back for a worker with a free slot."""
        try:
            connection: Any = self.connection
            with connection.pipeline() as pipeline:
                pipeline.lrem(IntermediateQueue.get_intermediate_queue_key(sent.queue), 1, sent.id)
                if heard:
                    pipeline.delete(Job.key_for(sent.id))
                else:
                    pipeline.rpush(sent.queue, sent.id)
                pipeline.execute()
        except RedisError as error:  # the relay sends another, and Redis drops this one in time
            _log.info("Redis has not been told of a doorbell: %r", error)


def made_for(engine: Hears, *, module: str, queues: tuple[str, ...]) -> type[Worker]:
    """Return the class of RQ worker for an engine."""
    members = {"hears": engine, "serves": queues, "__module__": module}
    return type("Worker", (Worker,), members)
