"""Clients that buy, change and look, and remember what they were told."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

__all__ = ["STOCK", "Load", "Told"]

STOCK: Final = 10_000_000
"""Of each item: more than is ever bought, so that whatever is missing was bought."""
_ITEMS: Final = 5
_PAUSE: Final = 0.02


@dataclass
class Told:
    """What the clients asked, and what they were told."""

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """By code, or by the name of the transport's error."""
    outside: list[str] = field(default_factory=list)
    """Answers that were not in the contract."""
    orders: dict[str, str] = field(default_factory=dict)
    """Of each address that bought: the id of the order that it was told of."""
    doubtful_orders: set[str] = field(default_factory=set)
    """Addresses that gave up without an answer."""
    actions: Counter[str] = field(default_factory=Counter)
    """By user: how many were accepted."""
    doubtful_actions: Counter[str] = field(default_factory=Counter)
    failed_at: float = 0.0
    """When the last request failed, on the monotonic clock."""


class Load:
    """Run `clients` of them against some addresses of one service, until told to stop.

    An order is sent again with its Idempotency-Key until there is an answer, as a good client
    does; an action is sent once.
    """

    def __init__(self, urls: Callable[[], Sequence[str]], *, clients: int = 8) -> None:
        self.told = Told()
        self._urls, self._clients = urls, clients
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._items: list[str] = []

    def __enter__(self) -> Self:
        with httpx.Client(base_url=self._urls()[0], timeout=30) as client:
            for number in range(_ITEMS):
                item = {"name": f"Item {number}", "quantity": STOCK, "price": "1.00"}
                answer = client.post("/inventory", json=item)
                assert answer.status_code == 201, answer.text
                self._items.append(answer.json()["id"])
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(90)

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=15) as client:
            await asyncio.gather(*(self._client(client, number) for number in range(self._clients)))

    async def _client(self, client: httpx.AsyncClient, number: int) -> None:
        work = (self._buy, self._act, self._look, self._change)
        while not self._stopping.is_set():
            await random.choice(work)(client)
            await asyncio.sleep(_PAUSE)

    async def _buy(self, client: httpx.AsyncClient) -> None:
        who, key = f"{uuid4().hex}@example.com", uuid4().hex
        lines = [{"item_id": random.choice(self._items), "quantity": 1}]
        order = {"customer_email": who, "lines": lines}
        give_up = time.monotonic() + 25
        while time.monotonic() < give_up:
            headers = {"Idempotency-Key": key}
            answer = await self._ask(client, "POST", "/orders", json=order, headers=headers)
            if answer is not None and answer.status_code == httpx.codes.CREATED:
                self.told.orders[who] = answer.json()["id"]
                return
            await asyncio.sleep(0.2)
        self.told.doubtful_orders.add(who)

    async def _act(self, client: httpx.AsyncClient) -> None:
        user = f"user-{random.randrange(20)}"
        answer = await self._ask(client, "POST", f"/users/{user}/actions", json={"action": "login"})
        if answer is not None and answer.is_success:
            self.told.actions[user] += 1
        else:
            self.told.doubtful_actions[user] += 1

    async def _look(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "GET", f"/inventory/{random.choice(self._items)}")

    async def _change(self, client: httpx.AsyncClient) -> None:
        patch = {"description": uuid4().hex}
        await self._ask(client, "PATCH", f"/inventory/{random.choice(self._items)}", json=patch)

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, **options: Any
    ) -> httpx.Response | None:
        self.told.requests += 1
        try:
            answer = await client.request(method, random.choice(self._urls()) + path, **options)
        except httpx.TransportError as error:
            self._note(type(error).__name__)
            return None
        if answer.is_error:
            self._note(self._code_of(answer))
        return answer

    def _note(self, code: str) -> None:
        self.told.errors[code] += 1
        self.told.failed_at = time.monotonic()

    def _code_of(self, answer: httpx.Response) -> str:
        try:
            error = answer.json()["error"]
            assert error["code"] == answer.headers["x-error-code"]
            assert error["request_id"] == answer.headers["x-request-id"]
        except (AssertionError, KeyError, ValueError):
            self.told.outside.append(f"{answer.status_code} {answer.text[:200]}")
            return f"{answer.status_code} outside of the contract"
        return f"{answer.status_code} {error['code']}"
