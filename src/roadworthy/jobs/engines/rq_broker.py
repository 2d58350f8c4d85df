"""Send doorbells to RQ's workers, as jobs of RQ."""

from typing import Any, Final

from roadworthy._internal.extras import extra

with extra("rq", of="roadworthy.jobs.engines.rq"):
    import rq
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    from rq.exceptions import DeserializationError

from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.task_options import RunsOn

__all__ = ["HEAR", "RqBroker", "WrongWorker", "bell_in", "hear", "opened"]

_SECONDS: Final = 10
"""Seconds to wait for an answer of Redis."""
_KEPT: Final = 24 * 3600
"""Seconds that Redis keeps doorbells that no worker has taken or removed."""
_FAILED: Final = 600
"""Seconds that a failed doorbell is kept; each `again` sends a new one."""


class WrongWorker(Exception):
    """A worker of RQ does not know how to run jobs; the text says what to type."""


def hear(queue: str, runs_on: RunsOn, jobs: int, name: str, module: str) -> None:
    """Fail: a worker of the right class receives doorbells, and does not run them.

    Raises:
        WrongWorker: Always.
    """
    raise WrongWorker(
        f"{jobs} jobs of the queue {queue!r} wait for a worker of Roadworthy's class, which "
        f"engine.register(parts) returns in {module}. With Worker = engine.register(parts) "
        f"there, type: rq worker --worker-class {module}.Worker {name}"
    )


_redis: Any = Redis  # RQ has few types

HEAR: Final = "roadworthy.jobs.engines.rq.hear"
"""The name by which RQ's workers find `hear`."""


def bell_in(job: Any) -> Doorbell | None:
    """Return the doorbell in a job of RQ, None if it is another job."""
    try:
        if job.func_name != HEAR:
            return None
        queue, runs_on, jobs, *_ = job.args
    except (DeserializationError, ValueError):  # RQ reports what is wrong with the job
        return None
    return Doorbell(queue, runs_on, jobs)


def opened(redis: str | Redis) -> Any:
    """Return a connection with time limits, to the Redis of a URL or a connection."""
    given: dict[str, Any] = {
        "socket_timeout": _SECONDS,
        "socket_connect_timeout": _SECONDS,
        # One retry, for a connection that was lost in between; a relay pauses by itself.
        "retry": Retry(NoBackoff(), 1),
    }
    if isinstance(redis, str):
        return _redis.from_url(redis, **given)
    pool: Any = redis.connection_pool
    if type(pool) is not ConnectionPool:  # such as that of Sentinel, which finds the server itself
        return redis
    kwargs = {**pool.connection_kwargs, **given}
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **kwargs))


class RqBroker:
    """The queues of RQ, one for each queue of jobs."""

    def __init__(self, redis: str | Redis, *, prefix: str, serializer: Any, module: str) -> None:
        self._redis = opened(redis)
        self._prefix, self._serializer, self._module = prefix, serializer, module

    def ring(self, queue: str, bells: list[Doorbell]) -> int:
        """Send all doorbells, or none."""
        of_rq = self._queue(queue)
        with self._redis.pipeline() as pipeline:
            of_rq.enqueue_many([self._job(of_rq, bell) for bell in bells], pipeline=pipeline)
            pipeline.llen(of_rq.key)
            return int(pipeline.execute()[-1])

    def waiting(self, queue: str) -> int:
        """Count the doorbells that wait for a worker."""
        return int(self._redis.llen(self._queue(queue).key))

    def close(self) -> None:
        """Close the connection to Redis."""
        self._redis.close()

    def _queue(self, queue: str) -> Any:
        return rq.Queue(self._prefix + queue, connection=self._redis, serializer=self._serializer)

    def _job(self, of_rq: Any, bell: Doorbell) -> Any:
        return of_rq.prepare_data(
            HEAR,
            args=(bell.queue, bell.runs_on, bell.jobs, of_rq.name, self._module),
            description=f"roadworthy: {bell.jobs} of {bell.queue} on {bell.runs_on}",
            ttl=_KEPT,
            result_ttl=0,
            failure_ttl=_FAILED,
        )
