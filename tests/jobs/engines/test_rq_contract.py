"""`RqEngine` does what every engine has to do, beside real workers of RQ."""

import pytest

from jobs.engines.crews import OverBroker
from jobs.engines.rq_crew import RqCrew
from roadworthy.testing.contract import EngineContract


class TestOverRedis(OverBroker, EngineContract):
    """In the process beside a worker."""

    def make_crew(self, broker):
        return RqCrew(broker=broker)

    @pytest.fixture
    def broker_url(self, redis_url):
        return redis_url
