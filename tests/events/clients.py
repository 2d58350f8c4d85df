"""Clients that read streams as browsers do: they note the id, and come back with it."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from support.asgi import scope_of

PATIENCE = 40.0

__all__ = ["Away", "InProcess", "Told", "WireClient", "listening"]


@dataclass(frozen=True, slots=True)
class Told:
    """One event as a client is told of it."""

    id: str
    name: str
    data: Any


class EventParser:
    """Read Server-Sent Events as WHATWG HTML §9.2.6 says."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_ms: int | None = None
        self.told: list[Told] = []
        self.heartbeats = 0
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        blocks = (self._rest + chunk).split(b"\n\n")
        self._rest = blocks.pop()
        for block in blocks:
            self._read(block.decode())

    @property
    def is_between_two(self) -> bool:
        """Whether nothing of an event has come that is not whole."""
        return not self._rest

    def _read(self, block: str) -> None:
        fields: dict[str, list[str]] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        self.heartbeats += "" in fields
        if "retry" in fields:
            self.retry_ms = int(fields["retry"][-1])
        if "id" in fields:
            self.last_id = fields["id"][-1]
        if "data" in fields:
            data = json.loads("\n".join(fields["data"]))
            self.told.append(Told(self.last_id, fields.get("event", ["message"])[-1], data))


class Away(Exception):
    """The stream has ended before what was waited for."""


class InProcess(EventParser):
    """A client of an application in this process: what it is sent, it takes when it is `taking`."""

    def __init__(self, app: Any, path: str, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self._app, self._scope = app, scope_of("GET", path, headers)
        self.last_id = (headers or {}).get("last-event-id", "")
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self.taking = asyncio.Event()
        self.taking.set()
        self._changed = asyncio.Event()
        self._leaves = asyncio.Event()
        self._asked = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaves.set()
        self.taking.set()
        async with asyncio.timeout(PATIENCE):
            with suppress(asyncio.CancelledError):
                await self._task

    async def break_off(self) -> None:
        """Go away at this very moment, whatever is under way."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def until(self, question: Callable[[], object]) -> None:
        """Wait until what was told makes it so."""
        async with asyncio.timeout(PATIENCE):
            while not question():
                if self._task.done():
                    self._task.result()
                    raise Away(f"told {self.told[-5:]!r}, answered {self.status}")
                self._changed.clear()
                waits = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait([waits, self._task], return_when=asyncio.FIRST_COMPLETED)
                waits.cancel()

    async def count(self, number: int) -> list[Any]:
        """Wait until so many events have been told, and return their data."""
        await self.until(lambda: len(self.told) >= number)
        return self.data

    async def opened(self) -> Self:
        """Wait until it stands where the order stands."""
        await self.until(lambda: self.retry_ms and self.last_id)
        return self

    async def end(self) -> None:
        """Wait until the stream has ended."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([self._task])

    @property
    def data(self) -> list[Any]:
        return [one.data for one in self.told if one.name != "gap"]

    @property
    def gaps(self) -> list[Any]:
        return [one.data for one in self.told if one.name == "gap"]

    async def _serve(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.taking.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {n.decode().lower(): v.decode() for n, v in message["headers"]}
        elif self.headers.get("content-type", "").startswith("text/event-stream"):
            self.feed(message.get("body", b""))
            self.ended = not message.get("more_body", False)
        else:
            self.body += message.get("body", b"")
        self._changed.set()


@asynccontextmanager
async def listening(
    app: Any, path: str = "/events", *, after: str = "", **headers: str
) -> AsyncGenerator[InProcess]:
    """Listen in this process, from behind an id or from now on."""
    if after:
        headers["last-event-id"] = after
    async with InProcess(app, path, headers) as client:
        yield await client.opened()


class WireClient(EventParser):
    """A client over sockets that comes back whenever it is cut off, to one of several servers."""

    def __init__(self, ports: Callable[[], list[int]], path: str, *, pause: float = 0.05) -> None:
        super().__init__()
        self._ports, self._path, self._pause = ports, path, pause
        self.connections = 0
        self.refused = 0
        self.cut_within = 0
        self.statuses: list[int] = []

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen(random.choice(self._ports()))
            except (OSError, asyncio.IncompleteReadError, ValueError, IndexError):
                self.refused += 1
            self.cut_within += not self.is_between_two
            self._rest = b""
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))

    async def _listen(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            came_from = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
            writer.write(f"GET {self._path} HTTP/1.1\r\nHost: x\r\n{came_from}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            self.statuses.append(int(head.split()[1]))
            if self.statuses[-1] != 200:
                return
            self.connections += 1
            while size := int(await reader.readline(), 16):
                self.feed((await reader.readexactly(size + 2))[:-2])
        finally:
            writer.close()
