"""A request that is over its time is answered, and leaves nothing behind (T10)."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.http import RawClient
from support.pace import Pace

ENDLESS = ("text/event-stream", "application/jsonl", "application/x-ndjson;charset=utf-8")


def get(server, path: str, **options) -> httpx.Response:
    return httpx.get(server.url + path, timeout=30, **options)


@pytest.mark.parametrize("middleware", [False, True])
def test_who_is_over_the_time_is_answered_and_rolled_back(start, middleware):
    server = start(time=0.5, middleware=middleware)
    with Pace() as pace:
        answer = get(server, "/slow?seconds=20", headers={"Accept": "application/problem+json"})

    assert answer.elapsed.total_seconds() < pace.stretched(3)
    assert (answer.status_code, answer.headers["x-error-code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"]
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert get(server, "/seen").json() == {"cancelled": 1, "finished": 0}
    assert get(server, "/kept").json() == []
    assert get(server, "/slow?seconds=0").status_code == 200  # the writer is free again


def test_a_route_may_have_another_time_and_another_answer(start):
    server = start(time=2)

    with Pace() as pace:
        hurried = get(server, "/hurried?seconds=20&name=b")
    assert (hurried.status_code, hurried.headers["x-error-code"]) == (504, "TOO_SLOW")
    assert hurried.elapsed.total_seconds() < pace.stretched(1.5)
    assert get(server, "/patient?seconds=2.5&name=c").status_code == 200
    documented = get(server, "/openapi.json").json()["paths"]["/hurried"]["get"]["responses"]
    assert "504" in documented


def test_a_thread_is_not_waited_for(start):
    server = start(time=0.5)
    with Pace() as pace:
        answer = get(server, "/thread?seconds=3")

    assert answer.status_code == 503
    assert answer.elapsed.total_seconds() < pace.stretched(2)


def test_a_response_that_has_begun_may_take_its_time(start):
    assert get(start(time=0.5), "/trickle").text.count("\n") == 20


def test_the_time_in_which_a_body_is_waited_for_does_not_count(start):
    server = start(time=0.5)
    with RawClient(server.port) as client:
        client.write(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        client.write(b"Content-Length: 8\r\n\r\n{")
        time.sleep(1)
        client.write(b'"a": 1}')

        assert client.receive().status == 200


def test_the_time_in_which_a_body_was_waited_for_is_given_to_the_work(start):
    server = start(time=0.5)
    with RawClient(server.port) as client:
        client.write(b"POST /watched HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        client.write(b"Content-Length: 17\r\n\r\n{")
        time.sleep(1)
        client.write(b'"seconds":0.25 }')

        assert client.receive().json() == "done"


@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("body", [b"", b'{"seconds": 20}'])
def test_who_leaves_is_not_worked_for(start, middleware, body):
    server = start(middleware=middleware)
    with RawClient(server.port) as client:
        if body:
            head = {"Content-Type": "application/json"}
            client.send("POST", "/watched", headers=head, body=body)
        else:
            client.send("GET", "/watched?seconds=20")
        time.sleep(0.5)

    end = time.monotonic() + 3
    while get(server, "/seen").json()["cancelled"] == 0:
        assert time.monotonic() < end
    assert get(server, "/kept").json() == []


def test_who_stays_is_worked_for(start):
    server = start()
    with RawClient(server.port) as client:
        for _ in range(3):  # on one connection: each is watched for itself
            assert client.request("GET", "/watched-raw").json() == 0
            raw = client.request("POST", "/watched-raw", body=b"x" * 300_000)
            assert raw.json() == 300_000
        head = {"Content-Type": "application/json"}
        done = client.request("POST", "/watched", headers=head, body=b'{"seconds": 0.3}')
        assert done.json() == "done"
    assert get(server, "/seen").json() == {"cancelled": 0, "finished": 1}


def test_without_the_limit_abandoned_work_goes_on(start):
    """The test above can fail."""
    server = start()
    with RawClient(server.port) as client:
        client.send("GET", "/slow?seconds=1.5")
        time.sleep(0.5)
    time.sleep(2)

    assert get(server, "/seen").json() == {"cancelled": 0, "finished": 1}


def test_who_comes_when_the_service_is_full_is_told_at_once_and_probes_are_not(start):
    server = start(at_most=3)
    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(get, server, "/thread?seconds=2") for _ in range(3)]
        time.sleep(0.7)
        began = time.monotonic()
        shed = get(server, "/seen")
        probes = [get(server, path).status_code for path in ("/livez", "/readyz", "/health")]
        took = time.monotonic() - began

        assert (shed.status_code, shed.headers["x-error-code"]) == (503, "SERVICE_UNAVAILABLE")
        assert shed.headers["retry-after"] == "1"
        assert probes == [200, 200, 200]
        assert took < 1
        assert [one.result().status_code for one in running] == [200, 200, 200]
    assert get(server, "/seen").status_code == 200


@pytest.mark.parametrize("path", ["/echo", "/raw"])
def test_a_body_that_stops_is_408(start, path):
    server = start(body_idle=0.5)
    with RawClient(server.port) as client:
        client.write(f"POST {path} HTTP/1.1\r\nHost: a\r\n".encode())
        client.write(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        began = time.monotonic()
        with Pace() as pace:
            reply = client.receive()
        took = time.monotonic() - began

    assert (reply.status, reply.headers["x-error-code"]) == (408, "REQUEST_TIMEOUT")
    assert took < pace.stretched(3)


def test_a_body_that_drips_is_408(start):
    server = start(body_idle=2, body_min_rate=1000)
    with RawClient(server.port, timeout=20) as client:
        client.write(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        client.write(b"Content-Length: 100000\r\n\r\n")
        began = time.monotonic()
        while time.monotonic() - began < 7:
            try:
                client.write(b"x")
            except OSError:
                break
            time.sleep(0.2)
        reply = client.receive()

    assert reply.status == 408


def test_uploads_have_terms_of_their_own(start):
    server = start(body_idle=0.5, time=1)
    with RawClient(server.port) as client:
        client.write(b"POST /files HTTP/1.1\r\nHost: a\r\nContent-Type: text/x-any\r\n")
        client.write(b"Content-Length: 4\r\n\r\nab")
        time.sleep(2)
        client.write(b"cd")

        assert client.receive().json() == 4


@pytest.mark.parametrize("media_type", ENDLESS)
def test_who_listens_is_no_request_that_runs(start, media_type):
    server = start(at_most=2)
    clients = [RawClient(server.port) for _ in range(3)]
    for client in clients:
        client.send("GET", f"/endless?media_type={media_type}")
        client.file.readline()
    assert get(server, "/seen").status_code == 200
    for client in clients:
        client.close()
