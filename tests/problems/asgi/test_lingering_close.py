"""Row U2, over the socket: a refusal that did not wait for the body, and what becomes of that."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from roadworthy import problems
from roadworthy.problems import LingeringClose
from support.http import RawClient
from support.pace import Pace
from support.server import Server, uvicorn_command

APP = Path(__file__).parent / "lingering_app.py"
MiB = 1024 * 1024
PIECE = 10_000
LARGE = 30 * MiB
HTTP = ["httptools", "h11"]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

EARLY_REFUSALS = [
    ("POST", "/auth", 401, "NOT_SIGNED_IN"),
    ("POST", "/nowhere", 404, "NOT_FOUND"),
    ("PUT", "/auth", 405, "METHOD_NOT_ALLOWED"),
    ("POST", "/limited", 413, "PAYLOAD_TOO_LARGE"),
    ("POST", "/limited-form", 413, "PAYLOAD_TOO_LARGE"),
    ("POST", "/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", "/number/x", 422, "VALIDATION_FAILED"),
    ("POST", "/crash", 500, "INTERNAL_ERROR"),
    ("POST", "/gate/problem", 403, "NOT_ALLOWED"),
    ("POST", "/gate/crash", 500, "INTERNAL_ERROR"),
    ("POST", "/gate/text", 403, "FORBIDDEN"),
    ("POST", "/base/problem", 403, "NOT_ALLOWED"),
    ("POST", "/base/text", 403, "FORBIDDEN"),
    ("POST", "/mounted/auth", 401, "NOT_SIGNED_IN"),
    ("POST", "/mounted/nowhere", 404, "NOT_FOUND"),
]


@pytest.fixture(scope="module", params=HTTP)
def server(request, tmp_path_factory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("lingering") / "server.log"
    server = Server(uvicorn_command(APP, "--http", request.param), log=log)
    yield server
    server.stop()


@pytest.fixture(scope="module", params=HTTP)
def brief(request, tmp_path_factory) -> Iterator[Server]:
    """A server that lingers for 1 MiB, 1.2 seconds, and pauses of 0.4 seconds."""
    log = tmp_path_factory.mktemp("lingering") / "server.log"
    command = uvicorn_command(APP, "--http", request.param)
    server = Server(command, log=log, env={"BOUNDS": f"{MiB} 1.2 0.4"})
    yield server
    server.stop()


@pytest.fixture
def client(server) -> Iterator[RawClient]:
    with RawClient(server.port) as client:
        yield client


def announce(client, method="POST", target="/auth", *, length: int | None = LARGE, **headers):
    """Send the headers of a request whose body is still to come."""
    framing = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": length}
    client.send(method, target, headers={**framing, **headers})


def seconds_until_closed(client, *, trickle: float | None = None) -> float:
    """Wait for the server to close, and send a byte now and then until it does."""
    began = time.monotonic()
    client.socket.settimeout(trickle or 10)
    with suppress(ConnectionError):
        while time.monotonic() < began + 10:
            try:
                if not client.socket.recv(4096):
                    break
            except TimeoutError:
                client.socket.send(b"x")
    return time.monotonic() - began


def bytes_until_closed(client, *, at_most: int) -> int:
    """Send a body without an end until the server closes, and return how much of it went."""
    sent, piece = 0, b"x" * 65536
    while sent < at_most:
        try:
            sent += client.socket.send(piece)
        except OSError:
            break
    return sent


# --- the answer comes at once ---------------------------------------------------------


@pytest.mark.parametrize(("method", "target", "status", "code"), EARLY_REFUSALS)
def test_a_refusal_is_answered_before_the_body_has_come(client, method, target, status, code):
    announce(client, method, target)
    reply = client.receive()

    assert (reply.status, reply.json()["error"]["code"]) == (status, code)
    assert reply.complete
    assert [line for line in reply.header_lines if line[0] == "connection"] == [
        ("connection", "close")
    ]


@pytest.mark.parametrize("target", ["/auth", "/nowhere", "/gate/text", "/base/text"])
def test_a_chunked_body_is_refused_as_well(client, target):
    announce(client, "POST", target, length=None)
    reply = client.receive()

    assert reply.status in {401, 403, 404}
    assert reply.headers["connection"] == "close"
    assert reply.json()["error"]["code"] == reply.headers["x-error-code"]


@pytest.mark.parametrize("target", ["/limited", "/limited-form"])
def test_a_chunked_body_over_the_limit_is_refused_at_the_first_byte_too_many(client, target):
    announce(client, "POST", target, length=None)
    client.write(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
    reply = client.receive()

    assert (reply.status, reply.headers["connection"]) == (413, "close")
    assert reply.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_a_body_that_was_read_half_is_left_as_well(client):
    announce(client, "POST", "/half")
    client.write(b"x" * 1000)
    reply = client.receive()

    assert (reply.status, reply.headers["connection"]) == (403, "close")


def test_a_redirect_is_a_refusal_to_read(client):
    announce(client, "POST", "/auth/")
    reply = client.receive()

    assert (reply.status, reply.headers["connection"]) == (307, "close")


def test_the_answer_to_head_has_no_body_and_its_request_may_have_one(client):
    announce(client, "HEAD", "/nowhere")
    reply = client.receive(head=True)

    assert (reply.status, reply.headers["connection"]) == (404, "close")
    client.write(b"x" * LARGE)
    assert client.is_closed()


@pytest.mark.parametrize(("target", "status"), [("/auth", 401), ("/crash", 500)])
def test_an_application_without_the_contract_can_be_wrapped(serve, target, status):
    server = serve(APP, env={"INSTALL": "wrapped"})
    with RawClient(server.port) as client:
        announce(client, target=target)
        reply = client.receive()
        client.write(b"x" * LARGE)

        assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert client.is_closed()


def test_who_waits_to_be_asked_for_the_body_is_not_asked(client):
    announce(client, Expect="100-continue")

    assert client.receive().status == 401  # and not 100


def test_who_waits_to_be_asked_for_a_small_body_is_not_asked_either(client):
    announce(client, length=10, Expect="100-continue")
    reply = client.receive()

    assert (reply.status, reply.headers["connection"]) == (401, "close")


# --- the rest is read within bounds ---------------------------------------------------


@pytest.mark.parametrize("target", [target for _, target, *_ in EARLY_REFUSALS])
def test_who_sends_everything_before_reading_sees_the_answer(client, target):
    announce(client, "POST", target)
    client.write(b"x" * LARGE)

    assert client.receive().status >= 400
    assert client.is_closed()


def test_a_body_without_an_end_is_read_to_the_limit(brief):
    with RawClient(brief.port) as client:
        announce(client, length=1024 * MiB)
        client.receive()
        sent = bytes_until_closed(client, at_most=256 * MiB)

    assert MiB <= sent < 32 * MiB  # what the sockets of both sides hold comes on top


def test_a_stalled_body_is_left_after_a_pause(brief):
    with RawClient(brief.port) as client:
        announce(client)
        client.receive()
        client.write(b"x")

        with Pace() as pace:
            seconds = seconds_until_closed(client)

    assert 0.3 < seconds < pace.stretched(1.1)


def test_a_trickling_body_is_left_at_its_time(brief):
    with RawClient(brief.port) as client:
        announce(client)
        client.receive()

        with Pace() as pace:
            seconds = seconds_until_closed(client, trickle=0.1)

    assert 1.0 < seconds < pace.stretched(2.4)


@pytest.mark.parametrize("http", HTTP)
def test_without_the_contract_a_refused_body_is_read_without_end(serve, http):
    """What the tests above are for."""
    arguments = ["--http", http, "--timeout-keep-alive", "1"]
    server = serve(APP, args=arguments, env={"INSTALL": "off"})
    with RawClient(server.port) as client, RawClient(server.port) as stalled:
        for one in (client, stalled):
            announce(one, target="/nowhere", length=1024 * MiB)
            assert one.receive().status == 404
            one.write(b"x")
        began = time.monotonic()
        assert bytes_until_closed(client, at_most=256 * MiB) >= 256 * MiB
        time.sleep(max(0, began + 2 - time.monotonic()))
        stalled.socket.settimeout(0.1)

        with pytest.raises(TimeoutError):  # the keep-alive time has passed twice
            stalled.socket.recv(1)


@LINUX
def test_the_rest_takes_no_memory(server):
    with RawClient(server.port) as client:
        client.request("GET", "/")
        before = memory(server)
        announce(client, length=60 * MiB)
        client.receive()
        for _ in range(60):
            client.write(b"x" * MiB)

        assert client.is_closed()
    assert memory(server) - before < 8 * MiB


def memory(server: Server) -> int:
    pages = Path(f"/proc/{server.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@LINUX
def test_whoever_leaves_is_let_go_at_once(brief):
    before = open_files(brief)
    with RawClient(brief.port) as client:
        announce(client)
        client.receive()
        assert open_files(brief) > before
    deadline = time.monotonic() + 0.3
    while open_files(brief) > before and time.monotonic() < deadline:
        time.sleep(0.01)

    assert open_files(brief) == before


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def test_the_server_stops_cleanly_while_it_lingers(serve):
    server = serve(APP, env={"BOUNDS": f"{MiB} 1.2 0.4"})
    with RawClient(server.port) as client:
        announce(client)
        client.receive()
        with Pace() as pace:
            server.send_signal(signal.SIGTERM)
            seconds = seconds_until_closed(client)

    assert 0.2 < seconds < pace.stretched(1.1)
    assert server.wait(5) in {0, -signal.SIGTERM}
    assert "Traceback" not in server.log_text()


def test_lingering_ends_when_the_server_will_not_wait(serve):
    server = serve(APP, args=["--timeout-graceful-shutdown", "1"], env={"BOUNDS": f"{MiB} 60 60"})
    with RawClient(server.port) as client:
        announce(client)
        client.receive()
        with Pace() as pace:
            server.send_signal(signal.SIGTERM)
            seconds = seconds_until_closed(client)

    assert seconds < pace.stretched(5)
    server.wait(5)


def test_nothing_of_the_application_is_held_while_the_rest_is_read(server):
    with RawClient(server.port) as client:
        announce(client, target="/held")
        assert client.receive().status == 403

        server.wait_for_log("let go", timeout=1)
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):  # it still lingers
            client.socket.recv(1)


# --- connections that can be kept -----------------------------------------------------


def test_a_small_rest_is_read_first_so_that_the_connection_is_kept(client):
    refused = client.request("POST", "/auth", body=b"x" * 60_000)
    announce(client, length=None)
    client.write(b"3\r\nabc\r\n0\r\n\r\n")
    chunked = client.receive()
    after = client.request("GET", "/")

    assert (refused.status, chunked.status, after.status) == (401, 401, 200)
    assert "connection" not in refused.headers
    assert "connection" not in chunked.headers


def test_a_small_rest_that_does_not_come_holds_the_answer_up_for_a_moment_only(client):
    announce(client, length=10)
    began = time.monotonic()
    with Pace() as pace:
        reply = client.receive()

    assert time.monotonic() - began < pace.stretched(0.5)
    assert (reply.status, reply.headers["connection"]) == (401, "close")


def test_a_refusal_of_a_body_that_was_read_keeps_the_connection(client):
    refused = client.request("POST", "/json", json={"name": "x" * MiB, "more": []})
    after = client.request("POST", "/json", json={"name": 1})

    assert (refused.status, after.status) == (200, 422)
    assert "connection" not in after.headers


def test_a_success_that_ignores_the_body_is_left_alone(client):
    reply = client.request("POST", "/ignored", body=b"x" * 100)

    assert reply.status == 200
    assert "connection" not in reply.headers
    assert client.request("GET", "/").status == 200


# --- without a socket -----------------------------------------------------------------


async def answer_of(
    *,
    length: int = 10**12,
    before: int = 0,
    http_version: str = "1.1",
    given: Iterable[tuple[bytes, bytes]] = (),
    layers: int = 1,
) -> list[dict[str, Any]]:
    """Return what a refusal sends, `before` bytes into a body that comes as it is read."""

    async def refuse(scope, receive, send):
        for _ in range(before // PIECE):
            await receive()
        await send({"type": "http.response.start", "status": 403, "headers": [*given]})
        await send({"type": "http.response.body", "body": b"no"})

    async def receive():
        nonlocal length
        length -= PIECE
        return {"type": "http.request", "body": b"x" * PIECE, "more_body": length > 0}

    async def send(message):
        sent.append(message)

    sent: list[dict[str, Any]] = []
    headers = [(b"content-length", str(length).encode())]
    scope = {"type": "http", "http_version": http_version, "headers": headers}
    app: Any = refuse
    for _ in range(layers):
        app = LingeringClose(app)
    await app(scope, receive, send)
    return sent


async def test_http_2_is_left_alone():
    start, body = await answer_of(http_version="2")

    assert start["headers"] == []
    assert "more_body" not in body


async def test_the_whole_answer_is_out_before_the_rest_is_read():
    start, body, end = await answer_of()

    assert start["headers"] == [(b"connection", b"close")]
    assert (body["body"], body["more_body"]) == (b"no", True)
    assert (end["body"], end.get("more_body", False)) == (b"", False)


async def test_an_answer_that_keeps_the_connection_does_not():
    start, *_ = await answer_of(given=[(b"Connection", b"keep-alive")])

    assert start["headers"] == [(b"connection", b"close")]


async def test_a_contract_inside_of_another_leaves_the_rest_to_it():
    """Else the bounds would hold for each of them, one after the other."""
    start, body, end = await answer_of(layers=2)

    assert start["headers"] == [(b"connection", b"close")]
    assert body["more_body"]
    assert not end["body"]


async def test_the_connection_is_kept_where_little_is_left_of_a_large_body():
    start, body = await answer_of(length=100 * PIECE, before=99 * PIECE)

    assert start["headers"] == []
    assert "more_body" not in body


async def test_the_connection_is_not_kept_for_more_than_a_little():
    start, *_ = await answer_of(length=100 * PIECE, before=50 * PIECE)

    assert start["headers"] == [(b"connection", b"close")]


def test_an_observer_is_not_told_of_the_time_after_the_answer(serve, tmp_path):
    source = APP.read_text().replace(
        "problems.install(app, linger=linger)",
        "problems.install(app, linger=linger, observe=lambda *o: print(f'took {o[2]:.3f}.'))",
    )
    (tmp_path / "observed.py").write_text(source)
    server = serve(tmp_path / "observed.py", env={"BOUNDS": f"{MiB} 1.2 0.8"})
    with RawClient(server.port) as client:
        announce(client)
        with Pace() as pace:
            client.receive()
            took = server.wait_for_log(r"took ([\d.]+)\.")

    # Lingering takes 0.8 seconds and more, which are not of the answer.
    assert float(took[1]) < pace.stretched(0.3)


def test_a_crash_keeps_its_answer_in_the_test_client():
    app = FastAPI()

    @app.post("/crash")
    async def crash() -> None:
        raise RuntimeError("hunter2")

    problems.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        reply = client.post("/crash", content=b"x" * MiB)

    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
