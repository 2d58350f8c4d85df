"""`CeleryEngine` does what every engine has to do, in real workers, over real brokers."""

import signal
from contextlib import asynccontextmanager, contextmanager

import pytest

from jobs.engines.celery_workers import Crew, context, relay, units_url
from roadworthy.testing.contract import Crashes, EngineContract, Order
from roadworthy.testing.contract_tasks import TASKS, contract_jobs


class OverCelery:
    """Run the jobs of a test in a Celery worker of its own; ring for them here."""

    pool = "prefork"

    @pytest.fixture(autouse=True)
    def make_crew(self, broker_url):
        self.crew = Crew(broker=broker_url, pool=self.pool)

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


class TestOverRabbitMQ(OverCelery, EngineContract):
    """In processes."""

    @pytest.fixture
    def broker_url(self, rabbitmq_url):
        return rabbitmq_url


class TestOverRedis(OverCelery, Crashes, Order):
    """Where the broker matters: in processes that are killed, and in the order of jobs."""

    @pytest.fixture
    def broker_url(self, redis_url):
        return redis_url


class TestInThreads(OverCelery, Order):
    """With Celery's pool of threads, which all share one event loop for jobs."""

    pool = "threads"

    @pytest.fixture
    def broker_url(self, rabbitmq_url):
        return rabbitmq_url


class TestSolo(OverCelery, Order):
    """With Celery's pool of no processes, in the worker itself."""

    pool = "solo"

    @pytest.fixture
    def broker_url(self, redis_url):
        return redis_url
