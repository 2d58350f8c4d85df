"""How a unit of work ends, seen from outside: T1 to T5, T7 to T9, T12, T13 and T15."""

import signal
from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from roadworthy.database import Database, Tx
from roadworthy.lifespan import lifespan
from support.http import RawClient
from support.server import Server

ITEMS = "/included/items"


def test_a_normal_answer_commits(client: RawClient) -> None:
    """T1"""
    assert client.request("POST", f"{ITEMS}/2").status == 200
    assert client.request("GET", ITEMS).json() == [1, 2]


def test_a_commit_that_fails_is_an_error_and_nothing_is_acknowledged(client: RawClient) -> None:
    """T2: the deferred foreign key is checked by COMMIT only."""
    reply = client.request("POST", "/included/orphan/1")
    assert reply.status == 409
    assert client.request("GET", "/included/seen").json() == []


def test_neighbours_of_a_failing_commit_succeed(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """T2, T14: commits share a sync on SQLite, never their outcome."""
    port = start().port
    clients = [RawClient(port) for _ in range(12)]
    for number, client in enumerate(clients):
        bad = number % 3 == 0
        client.send("POST", "/included/orphan/5" if bad else f"{ITEMS}/{100 + number}")
    statuses = [client.receive().status for client in clients]
    for client in clients:
        client.close()
    assert statuses == [409, 200, 200] * 4


def test_what_was_acknowledged_can_be_read_at_once(start: Callable[..., Server]) -> None:
    """T3: with commits that take 300 ms."""
    with RawClient(start(slow_commit=0.3).port) as writer:
        assert writer.request("POST", f"{ITEMS}/2").status == 200
        assert writer.request("GET", ITEMS).json() == [1, 2]


def test_callbacks_and_background_tasks_see_the_committed_row(
    start: Callable[..., Server],
) -> None:
    """T4"""
    server = start(slow_commit=0.1)
    with RawClient(server.port) as client:
        assert client.request("POST", "/included/background/2").status == 200
        server.wait_for_log("background has looked")
        assert client.request("GET", "/included/seen").json() == [
            ["on_commit", True],
            ["background", True],
        ]


def test_a_failing_callback_is_logged_and_the_answer_stays(start: Callable[..., Server]) -> None:
    server = start()
    with RawClient(server.port) as client:
        assert client.request("POST", "/included/callback-fails/2").status == 200
        assert client.request("GET", ITEMS).json() == [1, 2]
    server.wait_for_log("the callback is broken")


@pytest.mark.sampled
@pytest.mark.parametrize("path", ["/included/stream", "/included/jsonl"])
def test_a_stream_that_uses_the_closed_unit_is_told_what_to_do(
    client: RawClient, path: str
) -> None:
    """T5: no connection leaks, however many streams end."""
    texts = [client.request("GET", path).text for _ in range(12)]
    assert all("UnitClosed" in text for text in texts)
    assert client.request("GET", "/included/checked-out").json() == 0


def test_clients_that_read_a_stream_slowly_hold_no_connection(start: Callable[..., Server]) -> None:
    """T5: three of them, on a pool of two, and another one is answered."""
    port = start(pool_size=2, max_wait=2).port
    slow = [RawClient(port, timeout=10) for _ in range(3)]
    for client in slow:
        client.send("GET", "/included/long-stream")
    with RawClient(port, timeout=10) as other:
        assert [other.request("POST", f"{ITEMS}/{n}").status for n in range(2, 5)] == [200] * 3
    for client in slow:
        client.close()


def test_unit_closed_names_the_way_out(client: RawClient) -> None:
    text = client.request("GET", "/included/stream").text
    assert "db.begin()" in text
    assert "GET /included/stream" in text


def test_a_cancelled_handler_rolls_back(start: Callable[..., Server]) -> None:
    """T7: `except Exception` would not see it."""
    server = start()
    with RawClient(server.port) as client:
        assert client.request("POST", "/included/ends/cancelled/2").status == 500
    with RawClient(server.port) as client:
        assert client.request("GET", "/included/checked-out").json() == 0
        assert "never closed" not in server.log_text()
        assert client.request("GET", ITEMS).json() == [1]
        assert client.request("GET", "/included/seen").json() == []
        assert client.request("POST", f"{ITEMS}/3").status == 200


def test_a_broken_rollback_does_not_replace_the_error(client: RawClient) -> None:
    """T8"""
    assert client.request("POST", "/included/broken-rollback/2").status == 404
    assert client.request("GET", ITEMS).json() == [1]
    assert client.request("POST", f"{ITEMS}/3").status == 200


@pytest.mark.sampled
@pytest.mark.parametrize(("how", "status"), [("answers-409", 409), ("raises", 404)])
def test_an_error_answer_rolls_back(client: RawClient, how: str, status: int) -> None:
    """T9: returned or raised."""
    assert client.request("POST", f"/included/ends/{how}/2").status == status
    assert client.request("GET", ITEMS).json() == [1]
    assert client.request("GET", "/included/seen").json() == []


def test_an_invalid_request_takes_no_connection(
    start: Callable[..., Server], at_once: Callable[..., list[int]]
) -> None:
    """T12: the pool's one connection is held, and 422 is answered all the same."""
    server = start(pool_size=1, max_wait=20)
    with RawClient(server.port) as holder, RawClient(server.port, timeout=3) as other:
        holder.send("GET", "/included/hold/4000")
        assert other.request("POST", "/included/checked/x", json={"a": 1}).status == 422
        assert other.request("POST", "/included/checked/1", json={"a": "x"}).status == 422
        server.stop(signal.SIGKILL)  # it would wait for the holder


def test_a_swallowed_database_error_is_a_500_and_commits_nothing(
    start: Callable[..., Server],
) -> None:
    """T13, T15: PostgreSQL would answer the COMMIT with a silent rollback."""
    server = start()
    with RawClient(server.port) as client:
        assert client.request("POST", "/included/swallow/2").status == 500
        assert client.request("GET", ITEMS).json() == [1]
    server.wait_for_log("begin_nested")


def test_a_failure_inside_a_savepoint_is_no_failure(client: RawClient) -> None:
    assert client.request("POST", "/included/savepoint/2").status == 200
    assert client.request("GET", ITEMS).json() == [1, 2]


def test_a_dependency_that_swallows_is_a_500_that_says_so_and_commits_nothing(
    start: Callable[..., Server],
) -> None:
    """T15"""
    server = start()
    with RawClient(server.port) as client:
        assert client.request("POST", "/included/swallowing-dependency/2").status == 500
        assert client.request("GET", ITEMS).json() == [1]
    server.wait_for_log("A dependency swallowed an exception after its yield")


def test_an_explicit_commit_stays_committed(client: RawClient) -> None:
    assert client.request("POST", "/included/explicit/2").status == 404
    assert client.request("GET", ITEMS).json() == [1, 2]


def test_one_request_has_one_transaction(client: RawClient) -> None:
    assert client.request("GET", "/included/joined").json() is True


def test_a_websocket_is_told_to_open_units_of_its_own(sqlite_url: str, service: ModuleType) -> None:
    with (
        TestClient(service.make(sqlite_url)) as client,
        pytest.raises(RuntimeError, match=r"find\(websocket, Database\)\.begin\(\)"),
        client.websocket_connect("/included/socket"),
    ):
        pass


def test_a_route_that_was_not_prepared_is_told_what_to_do(sqlite_url: str) -> None:
    app, mounted = FastAPI(lifespan=lifespan(Database(sqlite_url))), FastAPI()
    app.mount("/mounted", mounted)

    @mounted.post("/")
    async def use(tx: Tx) -> None: ...

    with TestClient(app) as client, pytest.raises(RuntimeError, match=r"problems\.install"):
        client.post("/mounted/")
