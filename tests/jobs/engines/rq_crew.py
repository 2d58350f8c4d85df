"""Workers of RQ in processes of their own."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq import Queue

from jobs.engines.crews import Crew
from roadworthy.jobs.engines.rq import RqEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class RqCrew(Crew):
    """Workers of RQ, each with a process beside it."""

    def new_engine(self, **options: Any) -> RqEngine:
        return RqEngine(self.broker, prefix=self.prefix, **{**self.engine, **options})

    def run(self, parts: Callable[..., Any], options: dict[str, Any], ready: Any) -> None:
        engine = self.new_engine(**options)
        made: Any = engine.register(lambda: parts(engine))

        class Worker(made):
            def bootstrap(self, *args: Any, **kwargs: Any) -> None:
                super().bootstrap(*args, **kwargs)
                ready.set()

        served = [self.prefix + queue for queue in self.queues]
        Worker(served, connection=Redis.from_url(self.broker)).work(logging_level="WARNING")

    def wipe(self) -> None:
        with closing(Redis.from_url(self.broker)) as redis:
            redis.flushdb()

    def rung_for(self) -> list[int]:
        with closing(Redis.from_url(self.broker)) as redis:
            queue, found = Queue(self.prefix + "default", connection=redis), []
            while (id_ := redis.lpop(queue.key)) is not None:
                found.append(queue.fetch_job(id_.decode()).args[2])
        return found
