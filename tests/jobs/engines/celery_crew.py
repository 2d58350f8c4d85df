"""Celery workers in processes of their own, forked from one that has imported everything."""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from celery import Celery, signals
from kombu import Connection

from jobs.engines.crews import Crew
from roadworthy.jobs.engines.celery import CeleryEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryCrew(Crew):
    """Workers of a Celery application."""

    pool: str = "prefork"
    processes: int = 1

    def app(self) -> Celery:
        app = Celery("tests", broker=self.broker, set_as_current=False)
        app.conf.broker_connection_retry_on_startup = True
        app.conf.worker_hijack_root_logger = False
        app.conf.worker_redirect_stdouts = False
        return app

    def new_engine(self, app: Celery | None = None, **options: Any) -> CeleryEngine:
        return CeleryEngine(app or self.app(), prefix=self.prefix, **{**self.engine, **options})

    def run(self, parts: Callable[..., Any], options: dict[str, Any], ready: Any) -> None:
        app = self.app()
        engine = self.new_engine(app, **options)
        engine.register(lambda: parts(engine))
        signals.worker_ready.connect(lambda **_: ready.set(), weak=False)
        served = ",".join(self.prefix + queue for queue in self.queues)
        sys.argv = ["celery", "worker"]
        app.worker_main(
            [
                *("worker", "--pool", self.pool, "--concurrency", str(self.processes)),
                *("--queues", served, "--loglevel", "WARNING", "--hostname", uuid4().hex),
                *("--without-mingle", "--without-gossip"),
            ]
        )

    def wipe(self) -> None:
        with Connection(self.broker) as connection:
            channel = connection.channel()
            if self.broker.startswith("redis"):
                channel.client.flushdb()
            else:
                for queue in self.queues:
                    channel.queue_delete(self.prefix + queue)

    def rung_for(self) -> list[int]:
        found = []
        with Connection(self.broker) as connection, closing(connection.channel()) as channel:
            while (message := channel.basic_get(self.prefix + "default", no_ack=True)) is not None:
                body = channel.message_to_python(message).body
                found.append(json.loads(body)[0][2])
        return found
