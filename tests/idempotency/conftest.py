"""A shop on each database, and how the tests of this folder talk to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.http import RawClient, Reply
from support.server import Server

APP = Path(__file__).parent / "shop.py"


@dataclass
class Shop:
    server: Server
    files: Path

    def ask(self, method: str, target: str, **what: Any) -> Reply:
        with RawClient(self.server.port, timeout=30) as client:
            return client.request(method, target, **what)

    def order(self, key: str | None, headers: dict[str, str] | None = None, **order: Any) -> Reply:
        given = {} if key is None else {"Idempotency-Key": key}
        body = {"sku": "a", **order}
        return self.ask("POST", "/orders", headers={**given, **(headers or {})}, json=body)

    def send(self, key: str, **order: Any) -> RawClient:
        """Send an order without waiting for its answer."""
        client = RawClient(self.server.port, timeout=30)
        headers = {"Idempotency-Key": key}
        client.send("POST", "/orders", headers=headers, json={"sku": "a", **order})
        return client

    def skus(self) -> list[str]:
        return self.ask("GET", "/orders").json()

    def wait_until_held(self) -> None:
        self.server.wait_for_log(r"held\n")

    def go(self) -> None:
        (self.files / "go").touch()

    def set_clock(self, seconds: float) -> None:
        (self.files / "clock").write_text(str(seconds))


@pytest.fixture
def open_shop(serve: Callable[..., Server], tmp_path: Path) -> Callable[..., Shop]:
    """Serve a shop on a database; more than one may share it."""

    def open_(url: str, *, app: Path = APP, **env: str) -> Shop:
        env = {"SHOP_URL": url, "SHOP_FILES": str(tmp_path), **env}
        return Shop(serve(app, env=env), tmp_path)

    return open_


@pytest.fixture
def shop(open_shop: Callable[..., Shop], database_url: str) -> Iterator[Shop]:
    return open_shop(database_url)
