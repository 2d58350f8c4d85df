"""A file is kept whole, with its row, or nothing of it is left: at whatever moment it ends."""

import os
import signal
import time

import pytest

from uploads.conftest import body_of, part_of

KIB = 1024
TEXT = b"letters and more letters."
LARGE = b"letters".ljust(700 * KIB, b"x") + b"."


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_an_upload_that_is_broken_off_at_any_byte_leaves_nothing(service):
    body = body_of(part_of(TEXT))

    for cut in range(len(body)):
        with service.begin("/documents", len(body)) as client:
            client.write(body[:cut])

    until(lambda: service.log().count("a client left after") == len(body))
    assert service.stored() == []
    assert service.get("/in-flight").json() == 0


@pytest.mark.parametrize("cut", [100, 5 * KIB, 300 * KIB, 700 * KIB])
def test_a_large_upload_that_is_broken_off_leaves_nothing(service, cut):
    body = body_of(part_of(LARGE))
    with service.begin("/documents", len(body)) as client:
        client.write(body[:cut])

    until(lambda: "a client left after" in service.log())
    until(lambda: service.stored() == [])
    assert service.get("/in-flight").json() == 0


def test_files_before_the_one_that_is_refused_are_removed(service):
    answer = service.post("/several", body_of(*[part_of(TEXT)] * 9, part_of(b"no")))

    assert answer.status == 415
    assert service.stored() == []


@pytest.mark.parametrize("fail", ["refuse", "answer"])
def test_a_file_whose_request_is_refused_is_removed(service, fail):
    answer = service.upload(TEXT, f"/documents?fail={fail}")

    assert answer.status == 409
    assert service.stored() == []


def test_a_file_whose_request_failed_is_removed_by_the_sweep(service):
    kept = service.upload(TEXT).json()["key"]

    crashed = service.upload(TEXT, "/documents?fail=crash")
    with service.client() as client:
        young = client.request("POST", "/sweep?seconds=60").json()
        old = client.request("POST", "/sweep").json()

    assert (crashed.status, young, old) == (500, 0, 1)
    assert kept in service.get("/documents").json()
    assert [str(path.relative_to(service.directory)) for path in service.stored()] == [kept]


def test_what_a_killed_process_left_is_removed_at_the_next_start(start_service):
    killed = start_service()
    body = body_of(part_of(LARGE))
    with killed.begin("/documents", len(body)) as client:
        client.write(body[: 600 * KIB])
        until(lambda: sum(p.stat().st_size for p in killed.stored()) > 200 * KIB)
        os.kill(killed.server.pid, signal.SIGKILL)
        killed.server.wait()
    assert len(killed.stored()) == 1

    started = start_service()

    assert started.stored() == []


def test_a_second_process_leaves_what_the_first_is_writing(start_service):
    first = start_service()
    body = body_of(part_of(LARGE))
    with first.begin("/documents", len(body)) as client:
        client.write(body[: 600 * KIB])
        until(lambda: sum(p.stat().st_size for p in first.stored()) > 200 * KIB)

        start_service()
        client.write(body[600 * KIB :])
        answer = client.receive()

    assert answer.status == 201
    assert [path.read_bytes() for path in first.stored()] == [LARGE]


def test_stopping_the_server_leaves_nothing_of_what_is_under_way(start_service):
    service = start_service()
    body = body_of(part_of(LARGE))
    with service.begin("/patient", len(body)) as client:
        client.write(body[: 600 * KIB])
        until(lambda: len(service.stored()) == 1)
        service.server.send_signal(signal.SIGTERM)
        client.close()
        service.server.wait()

    assert service.stored() == []
