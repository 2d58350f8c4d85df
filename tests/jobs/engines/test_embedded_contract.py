"""`Embedded` does what every engine has to do."""

from datetime import timedelta

import pytest

from roadworthy.jobs import Embedded
from roadworthy.testing.contract import EngineContract, Outcomes


def embedded(*, at_a_time: int, lease: timedelta) -> Embedded:
    return Embedded(
        concurrency=at_a_time, processes=1, lease=lease, grace=timedelta(milliseconds=200)
    )


@pytest.mark.sampled
class TestEmbedded(EngineContract):
    """On SQLite, and on PostgreSQL with asyncpg."""

    def make_engine(self, *, at_a_time=20):
        return embedded(at_a_time=at_a_time, lease=self.lease)


class TestEmbeddedWithPsycopg(Outcomes):
    """On PostgreSQL with the other driver: what becomes of a job is written by all statements."""

    @pytest.fixture
    def database_url(self, postgres_url):
        return postgres_url.replace("postgresql://", "postgresql+psycopg://")

    def make_engine(self, *, at_a_time=20):
        return embedded(at_a_time=at_a_time, lease=self.lease)
