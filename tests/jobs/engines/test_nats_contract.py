"""The example of the page "Write an engine" does what every engine has to do."""

import pytest

from roadworthy.testing.contract import EngineContract

pytest.importorskip("nats")

from jobs.engines.crews import SAMPLE, OverBroker
from jobs.engines.nats_crew import NatsCrew


class TestOverNats(OverBroker, EngineContract):
    """In workers that the engine itself is, over JetStream."""

    sample = SAMPLE[::3]

    @pytest.fixture
    def broker_url(self, nats_url):
        return nats_url

    def make_crew(self, broker):
        return NatsCrew(broker=broker)

    @pytest.fixture(autouse=True)
    def leave_no_streams(self, join_crew):
        yield
        self.crew.wipe()
