"""One service with all parts keeps its promises on every server that people use."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.http import RawClient
from support.polling import until
from support.server import Server

from .kinds import KINDS, Kind, start

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def server(request, tmp_path_factory) -> Iterator[Server]:
    running = start(request.param, tmp_path_factory.mktemp(request.param.name))
    yield running
    running.stop(timeout=20)


@pytest.fixture
def client(server) -> Iterator[RawClient]:
    with RawClient(server.port, timeout=20) as connected:
        yield connected


def test_an_answer_has_its_request_id(client):
    answer = client.request("GET", "/orders", headers={"X-Request-ID": "of-the-client"})
    assert (answer.status, answer.headers["x-request-id"]) == (200, "of-the-client")


def test_errors_of_every_origin_have_the_shape_of_the_contract(client):
    codes = {
        path: (answer.status, answer.json()["error"]["code"])
        for path in ("/none", "/crash", "/orders?x=1")
        for answer in [client.request("POST" if "?" in path else "GET", path)]
    }
    assert codes == {
        "/none": (404, "NOT_FOUND"),
        "/crash": (500, "INTERNAL_ERROR"),
        "/orders?x=1": (422, "VALIDATION_FAILED"),
    }


def test_a_slow_answer_arrives_and_its_work_is_done_once(client):
    key = {"Idempotency-Key": "slow-one"}
    for _ in range(2):
        answer = client.request("POST", "/orders?name=slow&wait=0.3", headers=key)
        assert (answer.status, answer.complete) == (201, True)
    names = [name for name, _ in client.request("GET", "/orders").json()]
    assert names.count("slow") == 1


def test_a_job_of_the_transaction_runs(client):
    client.request("POST", "/orders?name=with-job")
    until(lambda: ["with-job", True] in client.request("GET", "/orders").json())


def test_a_request_over_its_time_is_told_so(client):
    answer = client.request("GET", "/slow")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


def test_a_body_that_stops_is_not_waited_for(server):
    with RawClient(server.port, timeout=20) as client:
        client.write(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert client.receive().status == 408


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_file_over_the_limit_is_refused(server, chunked):
    body = part(b"a line of text\n" * 40_000)
    how: dict[str, Any] = (
        {"chunks": [body[:300_000], body[300_000:]]} if chunked else {"body": body}
    )
    with RawClient(server.port, timeout=20) as client:
        client.send("POST", "/texts", headers=FORM, **how)
        answer = client.receive()
    assert (answer.status, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_file_is_stored_as_it_was_sent(client):
    answer = client.request("POST", "/texts", headers=FORM, body=part(b"some text\n" * 20_000))
    assert (answer.status, answer.json()["size_bytes"]) == (201, 200_000)


def test_a_late_failure_costs_the_next_request_nothing(client):
    for _ in range(3):
        assert client.request("GET", "/late").text == '"answered"'
    assert client.request("GET", "/orders").status == 200


def test_a_stream_arrives_whole(client):
    assert len(client.request("GET", "/rows").body) == 64 * 16_384


def test_a_stream_of_events_ends_when_its_client_leaves(server, client):
    with RawClient(server.port, timeout=20) as listener:
        listener.send("GET", "/events")
        while b'"number":3' not in listener.file.readline().replace(b" ", b""):
            pass
        assert client.request("GET", "/listeners").json() == 1
    until(lambda: client.request("GET", "/listeners").json() == 0)


def test_each_request_is_measured_once(client):
    client.request("GET", "/listeners")
    text = client.request("GET", "/metrics").text
    counts = [line for line in text.splitlines() if "/listeners" in line and "_count{" in line]
    assert len(counts) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_server_that_is_told_to_end_loses_no_request(kind: Kind, tmp_path):
    server = start(kind, tmp_path)
    try:
        with RawClient(server.port, timeout=20) as busy:
            busy.send("POST", "/orders?name=last&wait=1")
            time.sleep(0.3)
            server.send_signal(15)
            assert busy.receive().status == 201
        server.wait(20)
    finally:
        server.stop(timeout=20)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.drains], ids=lambda kind: kind.name)
def test_readiness_turns_before_the_socket_closes(kind: Kind, tmp_path):
    server = start(kind, tmp_path)
    try:
        server.send_signal(15)
        until(lambda: readiness(server) == 503, seconds=1.4)
        assert server.wait(20) == 0
    finally:
        server.stop(timeout=20)


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.drains], ids=lambda kind: kind.name)
def test_a_server_that_cannot_drain_is_named_at_start(kind: Kind, tmp_path):
    server = start(kind, tmp_path)
    try:
        server.wait_for_log(r"ends this server at once: drain=1\.5 s has no effect")
    finally:
        server.stop(timeout=20)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_stream_keeps_no_server_from_ending(kind: Kind, tmp_path):
    server = start(kind, tmp_path)
    try:
        with RawClient(server.port, timeout=20) as listener:
            listener.send("GET", "/events")
            while not listener.file.readline().startswith(b"data"):
                pass
            time.sleep(1.2)  # all have set their handlers by then
            server.send_signal(15)
            assert listener.file.read().endswith(b"0\r\n\r\n") is kind.ends_streams
        assert server.wait(20) == 0
    finally:
        server.stop(timeout=20)


def readiness(server: Server) -> int:
    with RawClient(server.port) as client:
        return client.request("GET", "/readyz").status


def part(content: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"
