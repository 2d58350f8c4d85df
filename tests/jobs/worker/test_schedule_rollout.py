"""A deploy: what an operator expects while two versions of a schedule are up."""

import signal
import sys
import time

import pytest

from jobs.conftest import environment, until
from jobs.ticked import DAILY, at_most_one_a_second
from support.sampling import mostly_on

HOURLY, OFTEN, NEVER = "3600", "1", ""


@pytest.fixture
def version(serve, books):
    """Start a process of a version: `version(every)`."""

    def start(every):
        env = environment(books.url, every=every, lease=2, poll=0.2)
        return serve(command=[sys.executable, "-m", "jobs.services.versions"], env=env)

    return start


def wait_for_more(books, number=2):
    """Wait for so many more ticks of the changed schedule."""
    before = books.effects()["sync"]
    until(lambda: books.effects()["sync"] >= before + number, seconds=40)


def expect_no_more(books):
    """What was begun may still end; then nothing comes for some seconds."""
    time.sleep(2)
    before = books.effects()["sync"]
    time.sleep(3)
    assert books.effects()["sync"] == before


def expect_each_tick_once(books):
    """The task whose schedule has not changed has noticed nothing."""
    at_most_one_a_second([job for job in books.jobs() if job.task == "fixed"])


@pytest.mark.sampled
@pytest.mark.parametrize(
    "old", [HOURLY, *(pytest.param(one, marks=pytest.mark.soak) for one in (DAILY, NEVER))]
)
def test_the_new_ticks_come_during_and_after_a_rollout(version, books, old):
    first = version(old)
    version(OFTEN)
    wait_for_more(books)
    first.stop()
    wait_for_more(books, 3)

    expect_each_tick_once(books)


@mostly_on("postgresql")
def test_also_where_an_old_process_was_the_last_to_start(version, books):
    first = version(HOURLY)
    version(OFTEN)
    second = version(HOURLY)
    first.stop(signal.SIGKILL)
    wait_for_more(books)
    second.stop()
    wait_for_more(books, 3)

    expect_each_tick_once(books)


@mostly_on("postgresql")
def test_a_rollback_has_the_old_ticks_again(version, books):
    first = version(OFTEN)
    wait_for_more(books)
    second = version(DAILY)
    first.stop()
    expect_no_more(books)
    version(OFTEN)
    wait_for_more(books)
    second.stop()
    wait_for_more(books)

    expect_each_tick_once(books)


@mostly_on("postgresql")
def test_a_schedule_that_was_removed_has_no_ticks_once_the_old_version_is_gone(version, books):
    first = version(OFTEN)
    wait_for_more(books)
    version(NEVER)
    wait_for_more(books, 1)
    first.stop()

    expect_no_more(books)
    expect_each_tick_once(books)
