"""Celery workers in processes of their own, forked from one that has imported everything."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import uuid4

from celery import Celery, signals

from jobs.conftest import until
from roadworthy.database import Database
from roadworthy.jobs import Jobs, Task
from roadworthy.jobs.engines.celery import CeleryEngine
from roadworthy.jobs.work import Units
from roadworthy.testing import contract_tasks

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([__name__, "celery.apps.worker", "celery.worker.consumer"])


def new_prefix() -> str:
    return f"test-{uuid4().hex[:8]}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What the processes of one test have in common."""

    broker: str
    prefix: str = field(default_factory=new_prefix)
    pool: str = "prefork"
    processes: int = 1
    queues: tuple[str, ...] = ("default", "mail")
    jobs: Callable[..., Jobs] = contract_tasks.contract_jobs
    engine: dict[str, Any] = field(
        default_factory=lambda: {
            "lease": timedelta(seconds=1),
            "grace": timedelta(milliseconds=200),
            "again": timedelta(seconds=2),
        }
    )

    def app(self) -> Celery:
        app = Celery("tests", broker=self.broker, set_as_current=False)
        app.conf.broker_connection_retry_on_startup = True
        app.conf.worker_hijack_root_logger = False
        app.conf.worker_redirect_stdouts = False
        return app

    def new_engine(self, app: Celery | None = None, **options: Any) -> CeleryEngine:
        return CeleryEngine(app or self.app(), prefix=self.prefix, **{**self.engine, **options})

    @contextmanager
    def worker(
        self,
        url: str,
        *,
        tasks: Iterable[Task[...]] | None = None,
        ending: signal.Signals = signal.SIGTERM,
        **options: Any,
    ) -> Generator[BaseProcess]:
        """Run a Celery worker, and end it by a signal."""
        ready = context.Event()
        known = None if tasks is None else tuple(tasks)
        process = context.Process(target=work, args=(self, url, known, options, ready))
        process.start()
        try:
            until(lambda: ready.is_set() or not process.is_alive())
            assert ready.is_set(), "the worker ended before it was ready"
            yield process
        finally:
            if process.is_alive():
                os.kill(process.pid or 0, ending)
            process.join(20)
            stuck = process.is_alive()
            process.kill()
            process.join()
            process.close()
            assert not stuck, "the worker did not end"


def work(
    crew: Crew,
    url: str,
    tasks: tuple[Task[...], ...] | None,
    options: dict[str, Any],
    ready: Any,
) -> None:
    """Be a Celery worker."""
    app = crew.app()
    engine = crew.new_engine(app, **options)

    def parts() -> tuple[Database, Jobs]:
        database = Database(url)
        jobs: Callable[..., Jobs] = crew.jobs
        return database, jobs(database, engine=engine, tasks=tasks)

    engine.register(parts)
    signals.worker_ready.connect(lambda **_: ready.set(), weak=False)
    served = ",".join(crew.prefix + queue for queue in crew.queues)
    sys.argv = ["celery", "worker"]
    app.worker_main(
        [
            *("worker", "--pool", crew.pool, "--concurrency", str(crew.processes)),
            *("--queues", served, "--loglevel", "WARNING", "--hostname", uuid4().hex),
            *("--without-mingle", "--without-gossip"),
        ]
    )


def relay(url: str, crew: Crew) -> None:
    """Be a process that rings."""
    contract_tasks.work(url, crew.new_engine())


def units_url(database: Units) -> str:
    return database.engine.url.render_as_string(hide_password=False).replace("+asyncpg", "")
