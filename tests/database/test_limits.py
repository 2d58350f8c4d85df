"""What bounds a unit of work: the pool, the clock, the shutdown (T6, T10, T11, T14)."""

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import RawClient
from support.server import Server

ITEMS = "/included/items"


def test_a_forced_shutdown_finishes_the_rollback(start: Callable[..., Server], kind: Path) -> None:
    """T6: no thread can be cancelled, but what it has written is undone."""
    server = start("--timeout-graceful-shutdown", "1")
    with RawClient(server.port) as client:
        client.send("POST", "/included/slow/2")
        server.wait_for_log("handler is waiting")
        server.send_signal(signal.SIGTERM)
        server.wait(15)
    assert kind.stem == "sync_service" or "handler was cancelled" in server.log_text()
    assert "still open" not in server.log_text()
    with RawClient(start().port) as client:
        assert client.request("GET", ITEMS).json() == [1]
        assert client.request("POST", f"{ITEMS}/2").status == 200


@pytest.mark.sampled
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_statement_that_never_ends_is_stopped_and_frees_the_pool(
    start: Callable[..., Server], method: str
) -> None:
    """T10: abandoned work does not hold up the next one."""
    port = start(statement_timeout=0.3, pool_size=1, max_wait=10).port
    clients = [RawClient(port) for _ in range(2)]
    for client in clients:
        client.send(method, "/included/endless")
    statuses = [client.receive().status for client in clients]
    for client in clients:
        client.close()
    assert statuses == [503, 503]
    with RawClient(port) as client:
        assert client.request("GET", ITEMS).json() == [1]
        assert client.request("POST", f"{ITEMS}/2").status == 200


def test_sixty_at_once_share_a_pool_of_five(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """T11"""
    statuses = at_once(start(pool_size=5).port, "GET /included/hold/5", times=60)
    assert Counter(statuses) == {200: 60}


def test_waiting_for_the_pool_is_bounded_and_answered_503(start: Callable[..., Server]) -> None:
    """T11"""
    port = start(pool_size=1, max_wait=0.2).port
    with RawClient(port) as holder, RawClient(port) as other:
        holder.send("GET", "/included/hold/1500")
        # The holder has the connection once the other one has to wait.
        replies = [other.request("GET", "/included/hold/0") for _ in range(3)]
        refused = [reply for reply in replies if reply.status == 503]
        assert refused
        assert refused[0].headers["retry-after"] == "1"
        assert holder.receive().status == 200


def test_no_increment_is_lost(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """T14: 200 concurrent read-modify-write requests, 20 at a time."""
    port = start().port
    statuses = [s for _ in range(10) for s in at_once(port, "POST /included/increment", times=20)]
    with RawClient(port) as client:
        assert Counter(statuses) == {200: 200}
        assert client.request("GET", "/included/n").json() == 200


def test_a_route_that_is_declared_safe_runs_again_until_it_is_serial(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """A serialization failure is tried again as a whole: each 200 counts once."""
    port = start(pool_size=8).port
    statuses = at_once(port, "POST /included/increment-retried", times=16)
    with RawClient(port) as client:
        assert Counter(statuses) == {200: 16}
        assert client.request("GET", "/included/n").json() == 16


def test_what_was_acknowledged_survives_kill_9(start: Callable[..., Server]) -> None:
    """T14: under load, with commits that take a while, and share their syncs."""
    server = start(slow_commit=0.1)
    clients = [RawClient(server.port) for _ in range(8)]
    acknowledged = []
    for number, client in enumerate(clients):
        client.send("POST", f"{ITEMS}/{1000 + number}")
    for number, client in enumerate(clients):
        if number == 4:
            server.send_signal(signal.SIGKILL)
        try:
            if client.receive().status == 200:
                acknowledged.append(1000 + number)
        except (ConnectionError, IndexError):
            continue
    server.wait()
    for client in clients:
        client.close()
    with RawClient(start().port) as client:
        stored = client.request("GET", ITEMS).json()
    assert len(acknowledged) >= 4
    assert set(acknowledged) <= set(stored)
