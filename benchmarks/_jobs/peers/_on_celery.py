"""Celery's workers: prefork, late acknowledgement, publisher confirms."""

import os
from typing import Any

from celery import Celery, signals

from _jobs.peers import relayed
from roadworthy.jobs.engines.celery import CeleryEngine


class Host:
    """A Celery application with a plain task, and the engine beside it."""

    def __init__(self, broker: str, name: str) -> None:
        self.app: Any = Celery("bench", broker=broker)
        self.app.conf.update(
            task_ignore_result=True,
            task_acks_late=True,
            task_default_queue=name,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
            broker_transport_options={"confirm_publish": True} if "amqp" in broker else {},
        )
        self.name = name
        self.delay = self.app.task(relayed.note, name="plain").delay
        self.engine = CeleryEngine(self.app, prefix=f"{name}.")

    def work(self, url: str) -> None:
        """Be the worker."""
        self.engine.register(relayed.parts_on(url, self.engine))
        signals.worker_ready.connect(lambda **_: os.write(1, b"ready\n"), weak=False)
        options = ("--concurrency", str(relayed.PROCESSES), "--loglevel", "CRITICAL")
        self.app.worker_main(
            ["--quiet", "worker", *options, "--without-mingle", "--without-gossip"]
        )

    def clean(self) -> None:
        """Remove the queues."""
        with self.app.connection() as connection:
            for queue in (self.name, f"{self.name}.default"):
                connection.channel().queue_delete(queue)
