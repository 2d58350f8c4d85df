"""Workers of an engine with a broker, in processes of their own, and who rings for them."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar, Final
from uuid import uuid4

import pytest

from jobs.conftest import until
from roadworthy.database import Database
from roadworthy.jobs import Engine, Jobs, Task
from roadworthy.jobs.worker.context import Units
from roadworthy.testing import contract_tasks
from roadworthy.testing.contract_tasks import TASKS, contract_jobs
from support.polling import PATIENCE

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(  # what takes long; the tests themselves are not on its path
    [
        *("roadworthy.testing.contract_tasks", "roadworthy.jobs.engines.rq", "rq.cron"),
        *("roadworthy.jobs.engines.celery", "celery.apps.worker", "celery.worker.consumer"),
        *("sqlalchemy.dialects.postgresql.asyncpg", "pytest"),
    ]
)


SAMPLE: Final = (
    "test_a_job_runs_once_its_transaction_has_committed",
    "test_a_job_that_waited_for_a_worker_runs",
    "test_many_jobs_run_once_each_also_with_two_engines",
    "test_a_job_that_fails_is_repeated_after_a_pause_and_dead_in_the_end",
    "test_a_job_that_runs_can_be_cancelled[contract.wait]",
    "test_an_unknown_task_waits_for_a_worker_that_knows_it",
    "test_a_job_belongs_to_the_request_that_enqueued_it",
    "test_a_delayed_job_does_not_run_before_its_time",
    "test_effects_in_the_transaction_of_a_job_happen_once[in the task-2-contract.write]",
    "test_a_job_that_kills_its_worker_each_time_is_dead_in_the_end",
    "test_a_living_worker_takes_over_from_one_that_was_killed",
    "test_a_worker_that_stops_gives_back_what_it_runs",
    "test_jobs_run_in_their_order_and_more_urgent_ones_first",
    "test_every_queue_of_a_job_is_served",
    "test_ticks_that_were_missed_become_one_job",
    "test_a_task_that_computes_runs_in_a_process",
    "test_a_task_that_takes_too_long_has_failed[contract.too_long_on_cpu]",
    "test_the_attempt_of_a_dead_worker_is_kept",
    "test_one_runs_at_a_time_for_each_key",
    "test_a_paused_queue_keeps_its_jobs_and_gives_them_out_later",
)
"""What a broker, or a worker of another library, can break: of each group of the contract some."""


def new_prefix() -> str:
    return f"test-{uuid4().hex[:8]}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What the processes of one test have in common."""

    broker: str
    prefix: str = field(default_factory=new_prefix)
    queues: tuple[str, ...] = ("default", "mail")
    jobs: Callable[..., Jobs] = contract_tasks.contract_jobs
    engine: dict[str, Any] = field(
        default_factory=lambda: {
            "lease": timedelta(seconds=1),
            "grace": timedelta(milliseconds=200),
            "again": timedelta(seconds=2),
        }
    )

    def new_engine(self, **options: Any) -> Engine:
        """Return an engine that rings for the workers."""
        raise NotImplementedError

    def run(self, parts: Callable[..., Any], options: dict[str, Any], ready: Any) -> None:
        """Be a worker that opens what `parts(engine)` returns."""
        raise NotImplementedError

    def wipe(self) -> None:
        """Have the broker forget all of its messages, and the queues."""
        raise NotImplementedError

    def rung_for(self) -> list[int]:
        """Take all messages, and return how many jobs each tells of."""
        raise NotImplementedError

    @contextmanager
    def worker(
        self,
        url: str,
        *,
        tasks: Iterable[Task[...]] | None = None,
        ending: signal.Signals = signal.SIGTERM,
        **options: Any,
    ) -> Generator[BaseProcess]:
        """Run a worker, and end it by a signal; SIGKILL is for all of its processes."""
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
                kill = os.killpg if ending == signal.SIGKILL else os.kill
                kill(process.pid or 0, ending)
            process.join(PATIENCE)
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
    """Be a worker, in a process group of its own."""
    os.setpgid(0, 0)

    def parts(engine: Engine) -> tuple[Database, Jobs]:
        database = Database(url)
        jobs: Callable[..., Jobs] = crew.jobs
        return database, jobs(database, engine=engine, tasks=tasks)

    crew.run(parts, options, ready)


def relay(url: str, crew: Crew) -> None:
    """Be a process that rings."""
    contract_tasks.work(url, crew.new_engine())


def units_url(database: Units) -> str:
    return database.engine.url.render_as_string(hide_password=False).replace("+asyncpg", "")


class OverBroker:
    """Run the jobs of a test in a worker of its own; ring for them here."""

    sample: ClassVar[tuple[str, ...]] = SAMPLE
    """The tests of the contract that `make test` runs; the others are soaks."""

    def make_crew(self, broker: str) -> Crew:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def join_crew(self, broker_url):
        self.crew = self.make_crew(broker_url)

    @pytest.fixture
    def database_url(self, postgres_url):
        return postgres_url

    def make_engine(self, *, at_a_time=20):
        return self.crew.new_engine(concurrency=at_a_time)

    @asynccontextmanager
    async def working(self, database, *, tasks=TASKS, at_a_time=20):
        engine = self.make_engine()
        with self.crew.worker(units_url(database), tasks=tasks, concurrency=at_a_time):
            async with contract_jobs(database, engine=engine, tasks=tasks):
                yield

    @contextmanager
    def worker_process(self, url):
        process = context.Process(target=relay, args=(url, self.crew), daemon=True)
        process.start()
        try:
            with self.crew.worker(url, ending=signal.SIGKILL):
                yield
        finally:
            process.kill()
            process.join()
            process.close()
