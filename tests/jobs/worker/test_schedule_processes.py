"""A schedule that several processes watch: one job for each of its times, whoever dies."""

import signal
import sys
import time

import pytest
from sqlalchemy import select

from jobs.conftest import environment, until
from jobs.ticked import SECOND, at_most_one_a_second
from roadworthy.jobs.table.tables import schedules

WORKERS = 3


@pytest.fixture
def workers(serve, open_books, postgres_url):
    books = open_books(postgres_url)
    command = [sys.executable, "-m", "jobs.services.ticking"]
    env = environment(postgres_url, lease=2, poll=0.2)
    return books, [serve(command=command, env=env) for _ in range(WORKERS)]


def ticks(books):
    with books.engine.connect() as connection:
        return connection.execute(select(schedules.c.ticks)).scalar_one()


def test_each_second_is_one_job_whoever_is_killed(workers):
    books, processes = workers
    until(lambda: len(books.notes()) >= 3)
    for process in processes[:-1]:  # at last one is alone
        done = len(books.notes())
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda done=done: len(books.notes()) >= done + 3)
    processes[-1].stop()

    assert ticks(books) == len(books.jobs())
    at_most_one_a_second(books.jobs(), pause=5 * SECOND)
    assert max(books.effects().values()) == 1, "a job was done twice"


def test_without_anybody_nothing_is_due_twice_afterwards(serve, open_books, postgres_url):
    books = open_books(postgres_url)
    command = [sys.executable, "-m", "jobs.services.ticking"]
    env = environment(postgres_url, lease=2, poll=0.2)
    first = serve(command=command, env=env)
    until(lambda: len(books.notes()) >= 1)
    first.stop(signal.SIGKILL)
    before = len(books.jobs())
    time.sleep(3)  # three times of the schedule pass

    later = [serve(command=command, env=env) for _ in range(2)]
    until(lambda: len(books.notes()) >= before + 2)
    for process in later:
        process.stop()

    # What was missed is one job; and since then each second has been one.
    assert ticks(books) == len(books.jobs())
    at_most_one_a_second(books.jobs()[before:])
