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

    mostly_on_sqlite = (
        # Workers of other engines are killed on PostgreSQL.
        "test_a_living_worker_takes_over_from_one_that_was_killed",
        "test_a_job_that_kills_its_worker_each_time_is_dead_in_the_end",
        "test_the_attempt_of_a_dead_worker_is_kept",
        # No process for a task knows the database.
        "test_a_coroutine_has_a_process_compute",
        "test_an_attempt_in_a_worker_process_tells_the_frames_there",
        "test_a_task_that_computes_runs_in_a_process",
        "test_a_task_that_takes_too_much_memory_has_failed",
    )

    def make_engine(self, *, at_a_time=20):
        return embedded(at_a_time=at_a_time, lease=self.lease)


class TestEmbeddedWithPsycopg(Outcomes):
    """On PostgreSQL with the other driver: what becomes of a job is written by all statements."""

    @pytest.fixture
    def database_url(self, postgres_url):
        return postgres_url.replace("postgresql://", "postgresql+psycopg://")

    def make_engine(self, *, at_a_time=20):
        return embedded(at_a_time=at_a_time, lease=self.lease)
