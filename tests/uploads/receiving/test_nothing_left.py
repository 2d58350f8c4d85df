"""A file is kept whole, with its row, or nothing of it is left: at whatever moment it ends."""

import asyncio
import os
import signal

import pytest
from anyio import CancelScope

from roadworthy.problems import Conflict
from roadworthy.uploads import Disk, Files
from roadworthy.uploads.receiving.body_receiver import receive
from roadworthy.uploads.receiving.multipart import MultipartReader
from support.polling import until
from uploads.conftest import BOUNDARY, body_of, part_of
from uploads.service import several

KIB = 1024
TEXT = b"letters and more letters."
LARGE = b"letters".ljust(700 * KIB, b"x") + b"."


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


@pytest.mark.parametrize(("fail", "status"), [("crash", 500), ("answer%20503", 503)])
def test_a_file_whose_request_failed_is_removed_by_the_sweep(service, fail, status):
    kept = service.upload(TEXT).json()["key"]

    failed = service.upload(TEXT, f"/documents?fail={fail}")
    with service.client() as client:
        young = client.request("POST", "/sweep?seconds=60").json()
        old = client.request("POST", "/sweep").json()

    assert (failed.status, young, old) == (status, 0, 1)
    assert kept in service.get("/documents").json()
    assert [str(path.relative_to(service.directory)) for path in service.stored()] == [kept]


def test_how_old_a_file_is_the_store_tells(start_service, false_clock):
    """The machine's clock is an hour ahead: what was written just now is not old by that."""
    false_clock.jump(3600)
    service = start_service(**false_clock.environment)
    failed = service.upload(TEXT, "/documents?fail=crash")

    with service.client() as client:
        swept = client.request("POST", "/sweep?seconds=60").json()

    assert (failed.status, swept) == (500, 0)


def test_all_files_are_swept_however_many_there_are(service):
    kept = service.upload(TEXT).json()["key"]
    folder = service.directory / "ab"
    folder.mkdir(exist_ok=True)
    for number in range(1101):
        (folder / f"{number:032}").write_bytes(TEXT)

    with service.client() as client:
        swept = client.request("POST", "/sweep").json()

    assert swept == 1101
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


class CancelledHalfWay:
    """A body with one file and half of another, on which the request is cancelled.

    The scope is one of anyio, as Starlette's middleware has them: it cancels until it is left.
    """

    received = 0

    def __init__(self, scope: CancelScope) -> None:
        self.scope = scope
        self.pieces = [part_of(TEXT) + part_of(LARGE)[: 600 * KIB]]

    async def read(self):
        if self.pieces:
            return self.pieces.pop()
        self.scope.cancel()
        return await asyncio.Future()


async def test_a_request_that_is_cancelled_without_end_leaves_nothing(tmp_path):
    reader = MultipartReader(f"multipart/form-data; boundary={BOUNDARY}", {})
    async with Files(Disk(tmp_path)) as files:
        with CancelScope() as scope:
            await receive(several.policy, files, CancelledHalfWay(scope), reader)

        assert scope.cancelled_caught
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert files.in_flight == 0


async def test_a_refused_file_is_removed_though_its_request_is_cancelled_without_end(tmp_path):
    async with Files(Disk(tmp_path)) as files:
        stored = await files.add(TEXT, media_type="text/x-letters", filename="a.letters")
        with CancelScope() as scope:
            scope.cancel()
            await several.settling(files, [stored])(None, Conflict())

        assert scope.cancelled_caught
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
