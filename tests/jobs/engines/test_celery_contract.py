"""`CeleryEngine` does what every engine has to do, in real workers, over real brokers."""

import pytest

from jobs.engines.celery_crew import CeleryCrew
from jobs.engines.crews import OverBroker
from roadworthy.testing.contract import Crashes, EngineContract, Order


class OverCelery(OverBroker):
    """Run the jobs of a test in a Celery worker."""

    pool = "prefork"

    def make_crew(self, broker):
        return CeleryCrew(broker=broker, pool=self.pool)


class TestOverRabbitMQ(OverCelery, EngineContract):
    """In processes."""

    @pytest.fixture
    def broker_url(self, rabbitmq_url):
        return rabbitmq_url


class TestOverRedis(OverCelery, Crashes, Order):
    """Where the broker matters: in processes that are killed, and in the order of jobs."""

    sample = ("test_a_worker_that_stops_gives_back_what_it_runs",)

    @pytest.fixture
    def broker_url(self, redis_url):
        return redis_url


class TestInThreads(OverCelery, Order):
    """With Celery's pool of threads, which all share one event loop for jobs."""

    pool = "threads"
    sample = ("test_every_queue_of_a_job_is_served",)

    @pytest.fixture
    def broker_url(self, rabbitmq_url):
        return rabbitmq_url


class TestSolo(OverCelery, Order):
    """With Celery's pool of no processes, in the worker itself."""

    pool = "solo"
    sample = ("test_every_queue_of_a_job_is_served",)

    @pytest.fixture
    def broker_url(self, redis_url):
        return redis_url
