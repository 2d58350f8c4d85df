"""Files are shown to a virus scanner while they pass, and nothing passes unseen."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import cast

import pytest
import uvloop

from roadworthy.problems import ServiceUnavailable
from roadworthy.uploads.checks import Scan
from roadworthy.uploads.scan import ClamAV
from roadworthy.uploads.types.inspecting.filetype import Rejected
from support.clamav import MARKER, STREAM_MAX, ClamD
from support.debian import Unavailable

KIB = 1024
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamD]:
    try:
        running = ClamD(folder=tmp_path_factory.mktemp("clamd"))
    except Unavailable as reason:
        pytest.skip(f"needs clamd: {reason}")
    yield running
    running.stop()


async def scan(clamav: ClamAV, *batches: list[bytes | memoryview]) -> None:
    async with clamav.open(media_type="text/plain") as one:
        for batch in batches:
            await one.feed(batch)
        await one.finish()


# --- a real one -----------------------------------------------------------------------


@pytest.fixture(params=["tcp", "unix"])
def clamav(request: pytest.FixtureRequest, clamd: ClamD) -> ClamAV:
    return ClamAV(getattr(clamd, request.param))


async def test_a_clean_file_passes(clamav):
    await scan(clamav, [b"nothing ", b"to find"], [b" here"])


@pytest.mark.parametrize(
    "batches",
    [
        [[MARKER]],
        [[b"before " + MARKER + b" after"]],
        [[MARKER[:9], MARKER[9:]]],
        [[MARKER[:9]], [MARKER[9:]]],
        [[MARKER[:9], b"", MARKER[9:]], [], [b""]],
        [[memoryview(MARKER)[:9]], [memoryview(MARKER)[9:]]],
        [[b"x" * 256 * KIB] * 4, [b"x" * 100 + MARKER]],
    ],
)
async def test_malware_is_rejected_however_it_is_cut(clamav, batches):
    with pytest.raises(Rejected, match="malware"):
        await scan(clamav, *batches)


async def test_an_empty_file_passes(clamav):
    await scan(clamav)


async def test_the_client_is_not_told_what_was_found_and_the_log_is(clamav, caplog):
    with pytest.raises(Rejected) as rejected:
        await scan(clamav, [MARKER])

    assert "Roadworthy.Marker" not in str(rejected.value)
    assert "Roadworthy.Marker" in caplog.text


async def test_many_files_at_once_are_told_apart(clamav):
    async def malicious(number: int) -> bool:
        content = MARKER if number % 3 == 0 else b"clean" * 20_000
        try:
            await scan(clamav, [content])
        except Rejected:
            return True
        return False

    found = await asyncio.gather(*map(malicious, range(30)))

    assert found == [number % 3 == 0 for number in range(30)]


async def test_a_file_that_is_longer_than_clamd_looks_at_is_refused(clamav, caplog):
    with pytest.raises(ServiceUnavailable):
        await scan(clamav, *([[bytes(64 * KIB)]] * (STREAM_MAX // (64 * KIB))), [b"more"])

    assert "StreamMaxLength" in caplog.text or "closed the connection" in caplog.text


async def test_a_file_of_the_largest_size_is_looked_at(clamav):
    with pytest.raises(Rejected):
        await scan(clamav, [bytes(STREAM_MAX - len(MARKER))], [MARKER])


async def test_a_file_that_is_given_up_half_way_disturbs_no_other(clamav):
    for _ in range(20):
        with pytest.raises(RuntimeError, match="the client left"):
            await give_up(clamav)

    await scan(clamav, [b"clean"])


async def give_up(clamav: ClamAV) -> None:
    async with clamav.open(media_type="text/plain") as one:
        await one.feed([b"half of a fi"])
        raise RuntimeError("the client left")


async def test_it_can_be_asked_whether_it_is_there(clamav):
    await clamav.ping()


# --- one that is away, or hangs, or talks nonsense ------------------------------------


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[ClamAV]:
    """Something else in the place of clamd."""
    serving = set[asyncio.Task[None]]()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(served, "127.0.0.1", 0)
    port = running.sockets[0].getsockname()[1]
    moment = timedelta(seconds=0.3)
    try:
        yield ClamAV(f"tcp://127.0.0.1:{port}", timeout=moment, connect_timeout=moment)
    finally:
        running.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def answering(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(bytes(4))
        writer.write(answer)

    return serve


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # all, and then nothing


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    "serve",
    [
        hanging,
        hanging_up,
        answering(b""),
        answering(b"stream: OK"),  # cut off before its end
        answering(b"stream: OKAY\0"),
        answering(b"stream: \0"),
        answering(b"INSTREAM size limit exceeded. ERROR\0"),
        answering(b"stream: Can't allocate memory ERROR\0"),
        answering(b"x" * 100_000 + b"\0"),
    ],
)
async def test_no_verdict_is_no_permission(serve, caplog):
    async with server(serve) as clamav:
        with pytest.raises(ServiceUnavailable):
            await scan(clamav, [b"something"])

    assert "clamd could not look at a file: refused" in caplog.text


async def test_a_scanner_that_takes_nothing_holds_nobody_up():
    async with server(deaf) as clamav, clamav.open(media_type="text/plain") as one:
        with pytest.raises(ServiceUnavailable):
            await one.feed([bytes(256 * KIB)] * 64)


def test_nothing_is_kept_of_a_batch_that_was_taken():
    # uvloop looks at the caller's memory until it is sent; asyncio's own loop copies it.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(feed_until_nothing_is_taken())


async def feed_until_nothing_is_taken() -> None:
    async with server(deaf) as clamav, clamav.open(media_type="text/plain") as one:
        with pytest.raises(ServiceUnavailable):
            await feed_and_forget(one)


async def feed_and_forget(one: Scan) -> None:
    while True:
        batch = bytearray(32 * KIB)
        view = memoryview(batch)
        await one.feed([view])
        view.release()
        batch.clear()  # BufferError where something still looks at it


async def test_a_scanner_that_is_away_refuses_files(unused_address):
    with pytest.raises(ServiceUnavailable):
        await scan(ClamAV(unused_address), [b"something"])


async def test_a_scanner_that_takes_no_connection_holds_nobody_up():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(8)]  # as many as the kernel may take for it
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        clamav = ClamAV(f"tcp://127.0.0.1:{address[1]}", connect_timeout=timedelta(seconds=0.3))

        async with asyncio.timeout(10):
            with pytest.raises(ServiceUnavailable):
                await scan(clamav, [b"something"])

        for one in waiting:
            one.close()


async def test_a_scanner_that_is_not_required_lets_files_pass_and_says_so(unused_address, caplog):
    caplog.set_level(logging.WARNING)

    await scan(ClamAV(unused_address, required=False), [b"something"], [b"more"])

    assert "clamd could not look at a file: taken without" in caplog.text


async def test_a_scanner_that_is_not_required_rejects_what_it_finds(clamd):
    with pytest.raises(Rejected):
        await scan(ClamAV(clamd.tcp, required=False), [MARKER])


async def test_it_says_that_it_is_away(unused_address):
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await ClamAV(unused_address).ping()


async def test_the_connection_is_closed_however_the_file_ends():
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        ended.set()

    async with server(serve) as clamav:
        with pytest.raises(RuntimeError):
            await give_up(clamav)
        await asyncio.wait_for(ended.wait(), 5)


@pytest.fixture
def unused_address() -> str:
    return "tcp://127.0.0.1:9"  # discard: nobody has offered it for decades


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:3310", "tcp://127.0.0.1", "unix://", "unix://a/b", "http://a:1"]
)
def test_a_wrong_address_says_what_one_looks_like(address):
    with pytest.raises(ValueError, match=r"tcp://127\.0\.0\.1:3310"):
        ClamAV(address)
