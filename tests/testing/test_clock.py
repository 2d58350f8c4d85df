"""`Clock` stands still for the test that entered it, and for nobody else."""

import contextvars
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from roadworthy.jobs.table import clock as told
from roadworthy.testing import Clock

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved():
    with Clock(NEW_YEAR) as clock:
        before = told.now()
        clock.advance(timedelta(hours=1))

        assert (before, told.now()) == (NEW_YEAR, NEW_YEAR + timedelta(hours=1))


def test_nothing_is_left_of_it():
    with Clock(NEW_YEAR):
        pass

    assert told.now() < NEW_YEAR


def test_clocks_can_be_nested():
    with Clock(NEW_YEAR), Clock(NEW_YEAR + timedelta(days=1)):
        assert told.now().day == 2


def test_nobody_else_sees_it():
    elsewhere = contextvars.Context()

    with Clock(NEW_YEAR):
        assert elsewhere.run(told.now) < NEW_YEAR


def test_requests_of_a_test_client_see_it():
    app = FastAPI()

    @app.get("/async")
    async def now() -> datetime:
        return told.now()

    @app.get("/sync")
    def now_on_a_thread() -> datetime:
        return told.now()

    with Clock(NEW_YEAR), TestClient(app) as client:
        answers = [client.get(path).json() for path in ("/async", "/sync")]

    assert answers == ["2030-01-01T00:00:00Z"] * 2


def test_it_does_not_go_back():
    with Clock(NEW_YEAR) as clock, pytest.raises(ValueError, match="goes on"):
        clock.advance(timedelta(seconds=-1))


def test_it_needs_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime(2030, 1, 1))  # noqa: DTZ001
