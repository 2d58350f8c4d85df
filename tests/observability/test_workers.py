"""`/metrics` where a server has several workers: whichever answers tells of all."""

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.polling import until
from support.server import READY, Server, uvicorn_command

APP = Path(__file__).with_name("workers_service.py")
WORKERS = 2


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Where servers keep what they share: short, for the sake of socket addresses."""
    folder = Path(tempfile.mkdtemp(prefix="rw"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def start(temporary):
    """Serve, with several workers unless told otherwise; it is ended with the module."""
    with ExitStack() as stack:

        def run(*args, ready=READY, command=None, folder=temporary):
            command = command or uvicorn_command(APP, *(args or ("--workers", str(WORKERS))))
            log = temporary / f"{next(numbers)}.log"
            env = {"TMPDIR": str(folder)}
            server = Server(command, log=log, env=env, ready=ready)
            stack.callback(server.stop)
            return server

        numbers = count()
        yield run


@pytest.fixture(scope="module")
def server(start):
    """One server for most of these tests: they count from what it has counted before."""
    server = start()
    wait_for_workers(server, WORKERS)
    return server


def get(server, path):
    """Ask on a connection of its own: any worker may answer."""
    answer = httpx.get(server.url + path, timeout=10)
    answer.raise_for_status()
    return answer


def hit(server, times):
    """Return how many requests each worker has answered."""
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: get(server, "/hit").json(), range(times)))


def samples(server):
    families = text_string_to_metric_families(get(server, "/metrics").text)
    return {s.name: s.value for f in families for s in f.samples if s.name.startswith("counting")}


def total(server):
    return samples(server).get("counting_hits_total", 0)


def wait_for_workers(server, number):
    until(lambda: samples_or_none(server, "counting_workers") == number)


def samples_or_none(server, name):
    try:
        return samples(server).get(name)
    except httpx.HTTPError:
        return None


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def shared(temporary):
    return sorted(path for path in temporary.glob("roadworthy-*/*/*"))


def told(server, *, within=10.0):
    """Return the counter as each of several scrapes has it; who hangs is left out."""
    return {hits_or_none(server, within) for _ in range(6)} - {None}


def hits_or_none(server, within):
    try:
        text = httpx.get(f"{server.url}/metrics", timeout=within).text
    except httpx.TimeoutException:
        return None
    families = {f.name: f for f in text_string_to_metric_families(text)}
    return families["counting_hits"].samples[0].value


def test_whichever_worker_answers_tells_of_all(server):
    answered = hit(server, 60)
    assert len(answered) > 1, "one worker has answered everything: nothing is tested"

    seen = [samples(server) for _ in range(10)]

    assert {s["counting_hits_total"] for s in seen} == {60}
    assert {s["counting_took_seconds_count"] for s in seen} == {60}
    assert {s["counting_workers"] for s in seen} == {WORKERS}
    assert {s["counting_highest"] for s in seen} == {max(answered.values())}


def test_no_counter_goes_back_when_workers_are_killed(server, temporary):
    seen, over, before = [], threading.Event(), len(shared(temporary))

    def watch():
        while not over.is_set():
            if (value := samples_or_none(server, "counting_hits_total")) is not None:
                seen.append(value)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(2):
        answered = hit(server, 30)
        expected = total(server)
        kill(max(answered, key=answered.get))
        wait_for_workers(server, WORKERS)
        assert told(server) == {expected}
    over.set()
    watcher.join()

    assert len(seen) > 5
    assert seen == sorted(seen)
    assert len(shared(temporary)) <= before + 2, "files grow with each worker that is replaced"


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_nothing_is_lost_when_workers_are_replaced_in_order(server):
    before = total(server)
    answered = hit(server, 60)

    server.send_signal(signal.SIGHUP)  # nobody has asked what these 60 have counted
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in answered))

    wait_for_workers(server, WORKERS)
    assert told(server) == {before + 60}


def test_a_worker_that_hangs_is_told_as_it_was_last_known(server):
    answered = hit(server, 30)
    expected = total(server)
    stopped = max(answered)
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert told(server, within=3) == {expected}
    finally:
        with suppress(ProcessLookupError):  # uvicorn ends who does not answer it
            os.kill(stopped, signal.SIGCONT)
    wait_for_workers(server, WORKERS)


def test_a_worker_whose_event_loop_stands_still_is_told_as_it_is(server):
    before = total(server)
    hit(server, 20)
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(get, server, "/block?seconds=4")
        time.sleep(0.3)  # until the loop stands still: nothing tells of that
        assert told(server, within=2) == {before + 20}
        blocked.result()


def test_a_folder_that_was_tidied_up_is_made_anew(server, temporary):
    hit(server, 20)
    expected = own_counts(server)
    shutil.rmtree(next(temporary.glob("roadworthy-*")))

    wait_for_workers(server, WORKERS)

    assert told(server) == {expected}


def own_counts(server):
    """Return what the living have counted: the sum of the dead goes with the folder."""
    seen = {}
    until(lambda: len(seen.update([get(server, "/own").json()]) or seen) == WORKERS)
    return sum(seen.values())


def test_two_servers_do_not_mix_and_nothing_is_left_of_one_that_ends(server, start, temporary):
    port, before = free_port(), shared(temporary)
    command = [sys.executable, "-m", "fastapi", "run", str(APP), "--workers", "2"]
    other = start(command=[*command, "--port", str(port)], ready=rf"http://[^:]+:(?P<port>{port})")
    wait_for_workers(other, 2)
    hit(other, 10)

    assert told(other) == {10}
    assert told(server) != {10}
    other.stop()
    assert shared(temporary) == before


def test_what_was_left_by_a_server_that_was_killed_goes_with_the_next_start(server, temporary):
    left = next(temporary.glob("roadworthy-*")) / "0123456789abcdef"
    left.mkdir()
    (left / "0.place").touch()
    young = left.with_name("fedcba9876543210")
    young.mkdir()
    os.utime(left, (time.time() - 7200,) * 2)

    kill(max(hit(server, 20)))
    wait_for_workers(server, WORKERS)

    assert (left.exists(), young.exists()) == (False, True)
    young.rmdir()


def test_one_process_shares_nothing(start, temporary):
    alone = temporary / "alone"
    alone.mkdir()
    server = start("--log-level", "info", folder=alone)
    hit(server, 3)

    assert told(server) == {3}
    assert list(alone.iterdir()) == []


def test_where_nothing_can_be_shared_a_line_says_so(start, temporary):
    folder = temporary / "theirs"
    someone_elses = folder / f"roadworthy-{os.getuid()}"
    someone_elses.mkdir(parents=True)
    someone_elses.chmod(0o755)  # anybody may look in

    server = start(folder=folder)

    server.wait_for_log("/metrics tells of one worker at a time", timeout=30)
    until(lambda: samples_or_none(server, "counting_workers") == 1)
    assert list(someone_elses.iterdir()) == []
