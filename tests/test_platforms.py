"""On Windows, which has never run this, what cannot work says so by name."""

import logging
import multiprocessing
import sys
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from roadworthy import problems
from roadworthy._internal import workers
from roadworthy.health import Health
from roadworthy.lifespan import lifespan
from roadworthy.observability import Telemetry
from roadworthy.uploads import Disk


@pytest.fixture
def one_of_several_on_windows(monkeypatch):
    """This process as a worker that a server on Windows has started."""
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=1))
    monkeypatch.setattr(workers, "find_spec", lambda name: None)


def test_files_on_a_disk_are_refused_where_they_are_declared(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(NotImplementedError, match=r"Disk needs Linux, macOS .* on Windows"):
        Disk(tmp_path)


@pytest.mark.usefixtures("one_of_several_on_windows")
def test_metrics_tell_of_one_worker_and_the_log_says_why(caplog):
    telemetry = Telemetry()
    app = FastAPI(telemetry=telemetry.options())
    problems.install(app)
    telemetry.install(app)

    with caplog.at_level(logging.WARNING), TestClient(app) as client:
        answer = client.get("/metrics")

    assert answer.status_code == 200
    assert "/metrics tells of one worker at a time: Windows has no Unix sockets" in caplog.text


@pytest.mark.usefixtures("one_of_several_on_windows")
def test_each_worker_asks_its_checks_and_the_log_says_why(caplog):
    health = Health(version="1")
    app = FastAPI(lifespan=lifespan(health))
    health.install(app)

    with caplog.at_level(logging.WARNING), TestClient(app) as client:
        answer = client.get("/readyz")

    assert answer.status_code == 200
    assert "each worker runs all checks by itself: Windows has no Unix sockets" in caplog.text
