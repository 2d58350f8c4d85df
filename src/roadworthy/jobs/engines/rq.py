"""`RqEngine`: run jobs beside RQ's workers, over Redis.

    engine = RqEngine("redis://localhost")

    def parts() -> tuple[Database, Jobs]:
        db = Database("postgresql://localhost/shop")
        return db, Jobs(db, tasks=[send_confirmation], engine=engine)

    Worker = engine.register(parts)
    app = FastAPI(lifespan=lifespan(*parts()))

`rq worker --worker-class shop.Worker` then runs the jobs, in one process beside each worker, which
opens `parts()` once. Other processes that open them, such as the server here, only tell Redis that
there are jobs. The rows stay the truth: if Redis loses everything, no job is lost.
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
    """Run jobs beside the workers of RQ, over Redis.

    Each worker has one process beside it, which runs as many jobs at a time as the options say.
    The options are those of `Embedded`, for each worker, and `again`: a doorbell that no worker
    has taken for so long is sent once more. RQ's own timeouts, retries and results are not used:
    a task has options for them.

    Args:
        redis: A URL, or a connection as RQ takes it.
        prefix: The start of the names of RQ's queues. Doorbells for jobs of the queue `mails` go
            to `roadworthy.mails`.
        serializer: The serializer that `rq worker --serializer` names.
        options: The options of `BrokerOptions`.
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
        """Return the connection to the workers of RQ."""
        return RqBroker(
            self._redis, prefix=self._prefix, serializer=self._serializer, module=self._module
        )

    def register(
        self, parts: PartsFactory, *, queues: Iterable[str] = ("default",)
    ) -> "type[rq_worker.Worker]":
        """Return the class of RQ worker that runs the jobs of `parts()`.

        Call this at module level, so that RQ finds the class: after `Worker =
        engine.register(parts)` in `shop.py`, type `rq worker --worker-class shop.Worker`. The
        process beside each worker calls `parts` and opens what it returns, from left to right;
        one of the parts is a `Jobs` with this engine. A worker that is started without a queue
        of this engine serves these `queues` of jobs, beside its own.
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
