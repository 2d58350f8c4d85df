"""Clients that buy, change, upload and look, and remember what they were told."""

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from faults.pictures import SMALL, picture
from faults.told import Document, Order, Told

__all__ = ["EVERYTHING", "STOCK", "Load"]

STOCK: Final = 10_000_000
"""Of each item: more than is ever bought, so that whatever is missing was bought."""
EVERYTHING: Final = ("buy", "act", "look", "change", "buy", "act", "count", "repeat", "upload")
"""What clients do; what is named twice is done twice as often."""
_ITEMS: Final = 5
_PAUSE: Final = 0.05
_GIVE_UP: Final = 25.0
"""Seconds for which an order is tried."""


class Load:
    """Run `clients` of them against some addresses of one service, until told to stop.

    An order is sent again with its Idempotency-Key until there is an answer, as a good client
    does; anything else is sent once.
    """

    def __init__(
        self,
        urls: Callable[[], Sequence[str]],
        *,
        clients: int = 5,
        work: Sequence[str] = EVERYTHING,
        pixels: int = SMALL,
    ) -> None:
        self.told = Told()
        self.counter = ""
        """The item that is changed with If-Match only."""
        self._urls, self._clients, self._pixels = urls, clients, pixels
        self._work = [getattr(self, f"_{name}") for name in work]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._items: list[str] = []

    def __enter__(self) -> Self:
        with httpx.Client(base_url=self._urls()[0], timeout=30) as client:
            *self._items, self.counter = [_item(client, number) for number in range(_ITEMS + 1)]
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
            await asyncio.gather(*(self._client(client) for _ in range(self._clients)))

    async def _client(self, client: httpx.AsyncClient) -> None:
        while not self._stopping.is_set():
            await random.choice(self._work)(client)
            await asyncio.sleep(_PAUSE)

    async def _buy(self, client: httpx.AsyncClient) -> None:
        who, key = f"{uuid4().hex}@example.com", uuid4().hex
        lines = [{"item_id": random.choice(self._items), "quantity": 1}]
        body = {"customer_email": who, "lines": lines}
        give_up = time.monotonic() + _GIVE_UP
        doubtful = self.told.refused_orders
        while time.monotonic() < give_up:
            answer = await self._order(client, key, body)
            if answer is None:
                doubtful = self.told.doubtful_orders
            elif answer.status_code == httpx.codes.CREATED:
                self.told.orders[who] = Order(answer.json()["id"], key, body)
                return
            await asyncio.sleep(0.2)
        doubtful.add(who)

    async def _repeat(self, client: httpx.AsyncClient) -> None:
        """Ask for an order that was acknowledged once more, as who has lost the answer does."""
        if not self.told.orders:
            return
        order = random.choice(list(self.told.orders.values()))
        answer = await self._order(client, order.key, order.body)
        if answer is not None and answer.is_success:
            again = answer.headers.get("idempotent-replayed")
            if (answer.json()["id"], again) != (order.id, "true"):
                self.told.wrong.append(f"the order {order.id}, repeated, is {answer.text}")

    async def _order(
        self, client: httpx.AsyncClient, key: str, body: dict[str, Any]
    ) -> httpx.Response | None:
        headers = {"Idempotency-Key": key}
        return await self._ask(client, "POST", "/orders", json=body, headers=headers)

    async def _act(self, client: httpx.AsyncClient) -> None:
        user, told = f"user-{random.randrange(20)}", self.told
        answer = await self._ask(client, "POST", f"/users/{user}/actions", json={"action": "login"})
        if answer is None:
            told.doubtful_actions[user] += 1
        else:
            (told.actions if answer.is_success else told.refused_actions)[user] += 1

    async def _upload(self, client: httpx.AsyncClient) -> None:
        name, told = f"{uuid4().hex}.png", self.told
        content = picture(self._pixels, name)
        answer = await self._ask(client, "POST", "/documents", files={"file": (name, content)})
        if answer is None:
            told.doubtful_documents.add(name)
        elif answer.is_error:
            told.refused_documents.add(name)
        else:
            sha256 = hashlib.sha256(content).hexdigest()
            told.documents[name] = Document(answer.json()["id"], sha256)

    async def _count(self, client: httpx.AsyncClient) -> None:
        """Add one to a number, on the condition that nobody has changed it meanwhile."""
        path, told = f"/inventory/{self.counter}", self.told
        read = await self._ask(client, "GET", path)
        if read is None or read.is_error:
            return
        patch = {"attributes": {"n": read.json()["attributes"].get("n", 0) + 1}}
        headers = {"If-Match": read.headers["etag"]}
        answer = await self._ask(client, "PATCH", path, json=patch, headers=headers)
        if answer is None:
            told.doubtful_counts += 1
        elif answer.is_success:
            told.counted += 1
        elif answer.status_code != httpx.codes.PRECONDITION_FAILED:
            told.refused_counts += 1

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
            self.told.note(type(error).__name__)
            return None
        # That a condition does not hold is what it was asked for.
        if answer.is_error and answer.status_code != httpx.codes.PRECONDITION_FAILED:
            self.told.note_answer(answer)
        return answer


def _item(client: httpx.Client, number: int) -> str:
    item = {"name": f"Item {number}", "quantity": STOCK, "price": "1.00"}
    answer = client.post("/inventory", json=item)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["id"])
