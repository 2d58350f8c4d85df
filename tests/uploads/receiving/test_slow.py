"""Who sends too slowly is let go, and costs little until then: FAILURES.md U8."""

import asyncio
import sys
import time

import pytest

from roadworthy.uploads import Files
from roadworthy.uploads.receiving.body_receiver import receive
from roadworthy.uploads.receiving.multipart import Part, RawReader
from roadworthy.uploads.stores.disk import Disk
from uploads.conftest import body_of, part_of
from uploads.service import patient

KIB = 1024
MIB = 1024 * KIB
CONTENT = b"letters".ljust(900 * KIB, b"x") + b"."
BODY = body_of(part_of(CONTENT))


def test_a_body_that_stops_is_answered_408(service):
    began = time.monotonic()
    with service.begin("/hurried", len(BODY)) as client:
        client.write(BODY[: 300 * KIB])
        answer = client.receive()

    assert (answer.status, answer.headers["x-error-code"]) == (408, "REQUEST_TIMEOUT")
    assert 0.9 < time.monotonic() - began < 4
    assert service.stored() == []


def test_a_body_that_never_begins_is_answered_408(service):
    with service.begin("/hurried", len(BODY)) as client:
        answer = client.receive()

    assert answer.status == 408


@pytest.mark.parametrize(
    ("path", "earliest", "latest"),
    [
        ("/hurried", 5, 8),  # by its rate, which counts from the fifth second on
        ("/brief", 2, 4),  # by its time for the whole
    ],
)
def test_a_body_that_trickles_is_answered_408(service, path, earliest, latest):
    began = time.monotonic()
    with service.begin(path, len(BODY)) as client:
        client.socket.settimeout(0.2)
        answer = None
        for at in range(0, len(BODY), KIB):
            client.write(BODY[at : at + KIB])
            time.sleep(0.1)
            if _is_answered(client):
                client.socket.settimeout(10)
                answer = client.receive()
                break

    assert answer is not None
    assert answer.status == 408
    assert earliest <= time.monotonic() - began < latest
    assert service.stored() == []


def test_the_time_that_the_server_takes_is_not_the_clients(service):
    content = b"slow".ljust(900 * KIB, b"x") + b"."

    assert service.upload(content, "/brief", media_type=None).status == 201


def test_a_body_that_is_silent_is_let_go_from_memory(service):
    """A second after the last byte, all that came is in the store's file and nowhere else."""
    head = len(part_of(b"")) - 2
    with service.begin("/patient", len(BODY)) as client:
        client.write(BODY[: head + 250 * KIB])  # less than a batch
        time.sleep(0.5)
        soon = sum(path.stat().st_size for path in service.stored())
        time.sleep(1.5)
        later = sum(path.stat().st_size for path in service.stored())

    # The last bytes may be the beginning of a boundary.
    assert (soon, later) == (0, 250 * KIB)


class FallsSilent:
    """A body that brings one piece, is quiet for a second, and then for ever."""

    received = 0

    def __init__(self, piece: bytes) -> None:
        self.pieces = [piece, None]
        self.is_silent = asyncio.Event()

    async def read(self):
        if self.pieces:
            return self.pieces.pop(0)
        self.is_silent.set()
        return await asyncio.Future()


async def test_nothing_refers_to_the_last_piece_of_a_body_that_is_silent(tmp_path):
    piece = b"letters".ljust(100 * KIB, b"x")
    body = FallsSilent(piece)
    before = sys.getrefcount(piece) - 1  # that of `body.pieces`, which it leaves

    async with Files(Disk(tmp_path)) as files:
        reading = asyncio.ensure_future(
            receive(patient.policy, files, body, RawReader(Part("file", None, "", {})))
        )
        await body.is_silent.wait()
        async with asyncio.timeout(5):  # a thread lets go of it when it has told its result
            while sys.getrefcount(piece) > before:  # noqa: ASYNC110 - nothing tells of that
                await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait({reading})


def test_a_stalled_body_costs_little_memory(service):
    clients = []
    service.upload(CONTENT, "/patient")
    before = service.memory()
    try:
        for _ in range(100):
            client = service.begin("/patient", len(BODY))
            client.write(BODY[: 8 * KIB])
            clients.append(client)
        time.sleep(2.5)
        grown = service.memory() - before
    finally:
        for client in clients:
            client.close()

    assert grown / 100 < 64 * KIB


def _is_answered(client) -> bool:
    try:
        return bool(client.socket.recv(1, 2 | 0x40))  # MSG_PEEK, MSG_DONTWAIT
    except (BlockingIOError, TimeoutError):
        return False
