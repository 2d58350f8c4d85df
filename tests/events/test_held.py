"""An open stream holds no connection of the pool, whatever its form and its session."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from events.held import FORMS, POOL, SESSIONS
from support.http import RawClient
from support.polling import until
from support.server import Server

TESTS = Path(__file__).parent.parent


@pytest.fixture
def server(serve: Callable[..., Server], postgres_url: str, tmp_path: Path) -> Server:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 64 * 1024 * 1024)
    env = {"URL": postgres_url, "LARGE": str(large), "PYTHONPATH": str(TESTS)}
    return serve("events.held:create_app", factory=True, env=env)


def held(server: Server) -> dict[str, int]:
    return dict(httpx.get(f"{server.url}/held", timeout=30).json())


def test_no_open_stream_of_ours_holds_a_connection_and_each_of_the_stock_one_does(server: Server):
    measured: dict[str, dict[str, int]] = {}
    for form in FORMS:
        for session in SESSIONS:
            clients = [RawClient(server.port, timeout=30) for _ in range(POOL)]
            for client in clients:
                client.send("GET", f"/{form}/{session}")
                assert client.file.readline().split()[1] == b"200"
            mine = "stock" if session == "stock" else "ours"
            wanted = POOL if session == "stock" else 0
            until(lambda: held(server)[mine], lambda number, w=wanted: number == w)  # noqa: B023
            measured.setdefault(form, {})[session] = held(server)[mine]
            for client in clients:
                client.close()
            until(lambda: held(server)[mine], lambda number: number == 0)  # noqa: B023

    assert measured == {
        form: {session: POOL if session == "stock" else 0 for session in SESSIONS} for form in FORMS
    }
