"""No request waits for ever for a thread or a connection, and none of these is lost (T10, T11)."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from support.http import RawClient
from support.proxy import Proxy
from support.server import Server

ITEMS = "/included/items"
CROWD = 200
SERVICE = Path(__file__).with_name("sync_service.py")


@pytest.fixture(params=["sync-sqlite", "sync-asyncpg", "sync-psycopg"])
def stack(request: pytest.FixtureRequest) -> str:
    """The services with `def` routes."""
    return str(request.param)


def all_idle(port: int) -> None:
    """See that every thread and connection is given back, and the service still answers."""
    with RawClient(port, timeout=10) as client:
        end = time.monotonic() + 10
        while busy := [
            client.request("GET", f"/included/{what}").json() for what in ("threads", "checked-out")
        ]:
            if busy == [0, 0]:
                break
            assert time.monotonic() < end, f"{busy} threads and connections are not given back"
            time.sleep(0.05)
        assert client.request("GET", f"{ITEMS}").status == 200


def test_two_hundred_at_once_share_a_pool_of_five(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """Who looks up the user has the connection, and then needs another thread."""
    port = start(pool_size=5, max_wait=60).port
    statuses = at_once(port, "POST /included/two-threads/5", times=CROWD)
    assert Counter(statuses) == {200: CROWD}
    all_idle(port)
    with RawClient(port) as client:
        assert client.request("GET", "/included/n").json() == CROWD


def test_who_would_wait_too_long_is_answered_503(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    port = start(pool_size=2, max_wait=0.3).port
    statuses = Counter(at_once(port, "POST /included/two-threads/50", times=CROWD))
    assert set(statuses) == {200, 503}
    all_idle(port)


def test_streams_with_a_unit_of_their_own_leave_threads_for_others(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """Each row of a stream takes a thread, while its unit has a connection."""
    port = start(pool_size=2, max_wait=20).port
    with RawClient(port) as client:
        for item_id in range(2, 6):
            assert client.request("POST", f"{ITEMS}/{item_id}").status == 200
    began = time.monotonic()
    at_once(port, "GET /included/own-unit/10", times=60)
    assert time.monotonic() - began < 15
    all_idle(port)


def test_clients_that_leave_hold_nothing(start: Callable[..., Server]) -> None:
    port = start(pool_size=5, max_wait=20).port
    for _ in range(2):
        clients = [RawClient(port) for _ in range(50)]
        for client in clients:
            client.send("POST", "/included/two-threads/20")
        for client in clients:
            client.close()
    all_idle(port)


@contextmanager
def hanging(url: str) -> Iterator[tuple[str, Proxy]]:
    at = make_url(url)
    with Proxy(at.port or 5432) as proxy:
        through = at.set(host="127.0.0.1", port=proxy.port)
        yield through.render_as_string(hide_password=False), proxy


@pytest.mark.parametrize("driver", ["asyncpg", pytest.param("psycopg", marks=pytest.mark.soak)])
def test_a_database_that_hangs_holds_no_thread_for_ever(
    serve: Callable[..., Server],
    at_once: Callable[..., list[int]],
    postgres_url: str,
    driver: str,
) -> None:
    with hanging(postgres_url) as (url, proxy):
        env = {
            "URL": url.replace("postgresql:", f"postgresql+{driver}:"),
            "STATEMENT_TIMEOUT": "1",
            "MAX_WAIT": "2",
            "DRAIN": "1",
        }
        port = serve(SERVICE, factory=True, env=env).port
        assert set(at_once(port, "POST /included/two-threads/1", times=10)) == {200}
        proxy.hang()
        statuses = at_once(port, "POST /included/two-threads/1", times=CROWD)
        assert Counter(statuses) == {503: CROWD}
        proxy.restore()
        all_idle(port)


def test_a_file_that_another_process_locks_holds_no_thread(
    serve: Callable[..., Server],
    at_once: Callable[..., list[int]],
    sqlite_url: str,
) -> None:
    import sqlite3

    port = serve(SERVICE, factory=True, env={"URL": sqlite_url, "MAX_WAIT": "0.5"}).port
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert set(at_once(port, "POST /included/two-threads/1", times=50)) == {503}
    other.execute("ROLLBACK")
    other.close()
    all_idle(port)


@pytest.mark.sampled
@pytest.mark.parametrize("how", ["in-statement", "between-statements"])
def test_a_cancelled_request_commits_nothing_though_its_thread_runs_on(
    start: Callable[..., Server], how: str
) -> None:
    """T7: a thread cannot be cancelled. Its statement can, and its next one is refused."""
    server = start()
    with RawClient(server.port, timeout=20) as client:
        client.request("POST", f"/included/cancelled/10?seconds=0.3&how={how}")
    server.wait_for_log("thread was told")
    assert "knows of nothing" not in server.log_text()
    all_idle(server.port)
    with RawClient(server.port) as client:
        assert client.request("GET", ITEMS).json() == [1]
        assert client.request("POST", f"{ITEMS}/2").status == 200


def test_a_shutdown_waits_for_the_unit_of_a_thread(start: Callable[..., Server]) -> None:
    """T6: uvicorn gives up after a second; closing the database waits until it is committed."""
    server = start("--timeout-graceful-shutdown", "1")
    with RawClient(server.port) as client:
        assert client.request("POST", "/included/unit-behind-the-answer/2").status == 200
        server.wait_for_log("unit is open")
        server.send_signal(signal.SIGTERM)
        server.wait(15)
    assert "still open" not in server.log_text()
    with RawClient(start().port) as client:
        assert client.request("GET", ITEMS).json() == [1, 2]


def test_the_event_loop_is_free_while_threads_wait(start: Callable[..., Server]) -> None:
    port = start(pool_size=2, max_wait=5).port

    async def ask() -> float:
        crowd = [asyncio.create_task(send("GET /included/hold/300")) for _ in range(20)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await send("GET /included/threads")
        took = time.monotonic() - began
        await asyncio.gather(*crowd)
        return took

    async def send(line: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await reader.read()
        writer.close()

    assert asyncio.run(ask()) < 1
