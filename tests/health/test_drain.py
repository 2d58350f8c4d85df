"""A service that is told to stop says so first, and loses nobody."""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.http import RawClient
from support.pace import Pace
from support.polling import until
from support.server import Server

DRAIN = 1.5
STREAMS = ("/events", "/lines", "/ndjson")


def ends_in(server: Server, *, within: float = 15) -> tuple[float, int]:
    """Wait until it ends, and return how long that took, and its exit code."""
    began = time.monotonic()
    code = server.wait(within)
    return time.monotonic() - began, code


def test_readiness_turns_at_once_and_the_socket_stays_open_for_the_drain(start):
    server = start(drain=DRAIN)
    paths = ("/readyz", "/readyz/serving", "/livez", "/slow?seconds=0")
    with httpx.Client(base_url=server.url) as client:  # made before the drain: that takes its time
        server.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        ready, serving, alive, slow = [client.get(path) for path in paths]

    assert ready.status_code == 503
    assert ready.json()["checks"]["serving"] == "fail"
    assert serving.status_code == 503
    assert alive.status_code == 200
    assert slow.text == '"done"'
    with Pace() as pace:
        took, code = ends_in(server)
    assert DRAIN - 1 < took < pace.stretched(DRAIN + 2)
    assert code == 0


def test_requests_that_are_running_are_finished(start):
    server = start(drain=0.5)
    with ThreadPoolExecutor() as threads:
        running = [
            threads.submit(httpx.get, f"{server.url}/slow?seconds={seconds}", timeout=20)
            for seconds in (1, 2, 3)
        ]
        time.sleep(0.5)
        server.send_signal(signal.SIGTERM)

        assert [one.result().text for one in running] == ['"done"'] * 3
    assert ends_in(server)[1] == 0


def test_who_keeps_a_connection_is_asked_to_connect_anew(start):
    server = start(drain=DRAIN)
    with RawClient(server.port) as client:
        assert "connection" not in client.request("GET", "/slow?seconds=0").headers
        server.send_signal(signal.SIGTERM)
        time.sleep(0.1)

        assert client.request("GET", "/slow?seconds=0").headers["connection"] == "close"


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_is_ended_between_two_messages(start, path):
    server = start(drain=0.5)
    received = bytearray()
    with RawClient(server.port) as client:
        client.send("GET", path)
        time.sleep(1)
        server.send_signal(signal.SIGTERM)

        while piece := client.socket.recv(65536):
            received += piece

    assert bytes(received).endswith(b"0\r\n\r\n")  # the end of chunked framing: nothing was cut
    assert b'{"number":2}' in received
    took, code = ends_in(server)
    assert took < 5
    assert code == 0


def test_a_second_signal_hurries_and_an_echo_does_not(start):
    server = start(drain=8)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    server.send_signal(signal.SIGTERM)  # as from a parent, and to the whole group
    time.sleep(1.5)
    assert httpx.get(f"{server.url}/readyz").status_code == 503

    server.send_signal(signal.SIGTERM)

    assert ends_in(server)[1] == 0
    assert time.monotonic() - began < 6


def test_ctrl_c_does_not_wait(start):
    server = start(drain=20)
    began = time.monotonic()
    server.send_signal(signal.SIGINT)
    server.wait(15)

    assert time.monotonic() - began < 5


def test_several_workers_drain_together(start):
    server = start(drain=4, args=["--workers", "2"])
    eventually_ready(server)
    os.kill(server.pid, signal.SIGTERM)
    time.sleep(0.8)  # the parent looks twice a second

    seen = {httpx.get(f"{server.url}/readyz").status_code for _ in range(10)}
    assert seen == {503}
    took, code = ends_in(server)
    assert (took < 10, code) == (True, 0)


def eventually_ready(server: Server) -> None:
    until(lambda: server.log_text().count("Application startup complete") >= 2)


def test_fastapi_run_drains_as_well(serve: Callable[..., Server], tmp_path: Path):
    (tmp_path / "main.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import os; os.environ['HEALTH'] = '{\"drain\": 1.5}'\n"
        "from service import create_app\napp = create_app()\n"
    )
    command = [sys.executable, "-m", "fastapi", "run", "--port", "0", str(tmp_path / "main.py")]
    server = serve(command=command, ready=r"running on http://[^:]+:(?P<port>\d+)")

    server.send_signal(signal.SIGTERM)
    time.sleep(0.2)

    assert httpx.get(f"{server.url}/readyz").status_code == 503
    assert ends_in(server)[1] == 0


def test_without_the_mechanism_the_socket_is_closed_at_once(
    serve: Callable[..., Server], tmp_path: Path
):
    """The tests above can fail: this is what plain uvicorn does."""
    plain = tmp_path / "plain.py"
    plain.write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    server = serve(plain)
    server.send_signal(signal.SIGTERM)
    time.sleep(0.5)

    with pytest.raises(httpx.TransportError):
        httpx.get(f"{server.url}/docs")
