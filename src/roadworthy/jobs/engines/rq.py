"""`RqEngine`: run jobs beside RQ's workers, over Redis.

    engine = RqEngine("redis://localhost")

    def parts() -> tuple[Database, Jobs]:
        db = Database("postgresql://localhost/shop")
        return db, Jobs(db, tasks=[send_confirmation], engine=engine)

    Worker = engine.register(parts)
    app = FastAPI(lifespan=lifespan(*parts()))

`rq worker --worker-class shop.Worker` then runs the jobs, in one process beside each
worker, which opens `parts()` once. What opens them elsewhere, such as the server here,
rings: it tells Redis that there are jobs, and no more. The rows stay the truth: a Redis
that loses everything loses no job.
"""

from roadworthy._internal.extras import extra

with extra("rq", of="roadworthy.jobs.engines.rq"):
    import rq as _  # noqa: F401 - so that its absence is told once

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from roadworthy._internal.keywords import defaults_of, shows_keywords
from roadworthy.jobs.broker.broker import Broker
from roadworthy.jobs.broker.broker_engine import BrokerEngine
from roadworthy.jobs.engines import rq_worker
from roadworthy.jobs.engines.rq_broker import (
    RqBroker,
    WrongWorker,
    hear,
)
from roadworthy.jobs.engines.rq_task import rq_task
from roadworthy.jobs.worker.loop_thread import PartsFactory
from roadworthy.jobs.worker.options import BrokerLimits, BrokerOptions

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RqEngine", "WrongWorker", "hear", "rq_task"]


class RqEngine(BrokerEngine):
    """Run jobs beside the workers of RQ, and ring for them elsewhere.

    `redis` is a URL, or a connection as RQ takes it. Each worker has one process beside it,
    which runs `concurrency` coroutines, `threads` and `processes` at a time. The other
    limits are those of `Embedded`, for each worker. Jobs of the queue `mails` are rung for
    in RQ's queue `roadworthy.mails`, with another `prefix` in another. A relay looks at the
    table every `poll`. A doorbell that nobody has heard `again` after it was sent is sent
    once more. `serializer` is what `rq worker --serializer` says.

    RQ's own timeouts, retries and results are not used: a task has terms for them.
    """

    @shows_keywords(defaults_of(BrokerLimits))
    def __init__(
        self,
        redis: "str | Redis",
        *,
        prefix: str = "roadworthy.",
        serializer: Any = None,
        **options: Unpack[BrokerOptions],
    ) -> None:
        super().__init__(**options)
        self._redis, self._prefix, self._serializer = redis, prefix, serializer
        self._module = "yourmodule"

    def broker(self) -> Broker:
        """Return the way to the workers of RQ."""
        return RqBroker(
            self._redis, prefix=self._prefix, serializer=self._serializer, module=self._module
        )

    def register(
        self, parts: PartsFactory, *, queues: Iterable[str] = ("default",)
    ) -> "type[rq_worker.Worker]":
        """Return the class of RQ worker that runs the jobs of `parts()`.

        Call it at module level, so that RQ finds it: with `Worker = engine.register(parts)`
        in `shop.py` that is `rq worker --worker-class shop.Worker`. The process beside each
        worker calls `parts` and opens what it returns, from left to right; a `Jobs` with
        this engine is among that. A worker that is given none of this engine's queues serves
        these `queues` of jobs besides.
        """
        parts_here = self.open_in_workers(parts)
        self._module = getattr(parts, "__module__", None) or self._module
        hears = rq_worker.Hears(
            prefix=self._prefix,
            grace=self._limits.grace,
            begin=parts_here.begin,
            hear=self.hear,
            end=parts_here.end,
        )
        served = tuple(self._prefix + queue for queue in queues)
        return rq_worker.made_for(hears, module=self._module, queues=served)
