"""Checks where a server has several workers: one of them asks, and all know."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from support.polling import until
from support.server import Server, uvicorn_command

APP = Path(__file__).with_name("service.py")
WORKERS = 3
SECONDS = 6


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rw"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(temporary) -> Iterator[Server]:
    env = {"TMPDIR": str(temporary), "RUNS": str(temporary / "runs")}
    command = uvicorn_command(APP, "--workers", str(WORKERS), factory=True)
    running = Server(command, log=temporary / "log", env=env)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _all_workers_answer(server):
    workers = set()
    until(lambda: len(workers.add(pid(server)) or workers - {None}) >= WORKERS)


def pid(server):
    try:
        return httpx.get(f"{server.url}/pid", timeout=5).json()
    except httpx.TransportError:
        return None


def runs(path, since=0.0):
    """Return who has run the check, and when."""
    found = [line.split() for line in path.read_text().splitlines()]
    return [(int(who), float(at)) for who, at in found if float(at) > since]


def ready(server):
    """Return what several probes say: any worker may answer each."""
    return {httpx.get(f"{server.url}/readyz/told", timeout=5).status_code for _ in range(12)}


def test_the_rate_of_checks_does_not_grow_with_the_workers(server, temporary):
    began = time.monotonic()
    time.sleep(SECONDS)  # what is counted is what happens in this time

    shared = runs(temporary / "runs", began)
    each = runs(temporary / "runs.each", began)

    assert SECONDS - 3 <= len(shared) <= SECONDS + 2
    assert len({who for who, _ in each}) == WORKERS
    assert len(each) >= WORKERS * (SECONDS - 3)
    assert ready(server) == {200}


def test_all_workers_know_what_one_has_found_and_one_that_dies_is_replaced(server, temporary):
    fails = temporary / "runs.fails"
    fails.touch()
    until(lambda: ready(server) == {503})
    fails.unlink()
    until(lambda: ready(server) == {200})

    last, began = runs(temporary / "runs")[-1][0], time.monotonic()
    os.kill(last, signal.SIGKILL)
    time.sleep(SECONDS)

    after = runs(temporary / "runs", began)
    assert last not in {who for who, _ in after}
    pauses = [later - earlier for (_, earlier), (_, later) in pairwise([(0, began), *after])]
    assert max(pauses) < 3
    assert ready(server) == {200}


def test_one_that_hangs_holds_up_nobody(server, temporary):
    """SIGSTOP, maybe in its turn: the others ask by themselves after the time of the check."""
    last = runs(temporary / "runs")[-1][0]
    os.kill(last, signal.SIGSTOP)
    began = time.monotonic()
    try:
        time.sleep(4)
        assert len({who for who, _ in runs(temporary / "runs", began)} - {last}) >= 1
        assert len(runs(temporary / "runs", began)) >= 2
    finally:
        os.kill(last, signal.SIGCONT)


def test_nothing_is_left_when_the_server_ends(server, temporary):
    assert list(temporary.glob("roadworthy-*/*")) != []

    server.stop()

    assert list(temporary.glob("roadworthy-*/*")) == []
