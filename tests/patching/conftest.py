from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.http import RawClient, Reply
from support.server import Server, uvicorn_command

APP = Path(__file__).parent / "warehouse_app.py"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Warehouse:
    """A client of the served application; every test starts from the same item."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        client.request("POST", "/reset")

    def merge(self, body: object, *, media_type: str = MERGE_PATCH) -> Reply:
        return self.send(body, media_type)

    def operate(self, *operations: object) -> Reply:
        return self.send(list(operations), JSON_PATCH)

    def send(self, body: object, media_type: str | None, *, path: str = "/items/item-001") -> Reply:
        headers = {"Content-Type": media_type} if media_type else {}
        if isinstance(body, bytes | str):
            return self.client.request("PATCH", path, body=body, headers=headers)
        return self.client.request("PATCH", path, json=body, headers=headers)

    def item(self) -> Any:
        reply = self.client.request("GET", "/items/item-001")
        assert reply.status == 200, reply.text
        return reply.json()

    def row(self) -> Any:
        return self.client.request("GET", "/rows/item-001").json()


@pytest.fixture(scope="session")
def warehouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("warehouse") / "server.log"
    server = Server(uvicorn_command(APP, factory=True), log=log)
    yield server
    server.stop()


@pytest.fixture
def warehouse(warehouse_server: Server) -> Iterator[Warehouse]:
    with RawClient(warehouse_server.port) as client:
        yield Warehouse(client)
