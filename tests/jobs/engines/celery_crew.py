"""Celery workers in processes of their own, forked from one that has imported everything."""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import billiard.pool
from celery import Celery, signals
from celery.concurrency import prefork
from kombu import Connection
from kombu.asynchronous import get_event_loop

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
        end_without_pauses()
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


class Hurried:
    """The module `time`, whose pauses are short."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 20)


def end_without_pauses() -> None:
    """Have a worker end as soon as it can: Celery sees a signal up to ten seconds later.

    Its loop is not woken by one, and waits for its next timer first. Then its processes pause
    for a second, and it waits for them by steps of half a second.
    """
    billiard.pool.time = prefork.time = Hurried()
    signals.worker_shutting_down.connect(wake_loop, weak=False)


def wake_loop(**_: object) -> None:
    # In a thread: whoever gets the signal may have the lock that this needs.
    if (loop := get_event_loop()) is not None:
        threading.Thread(target=loop.call_soon, args=(list,), daemon=True).start()
