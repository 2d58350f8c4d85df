"""Nothing lost, nothing phantom: a service under mixed load, killed again and again."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from _jobs import common, peers
from _jobs.common import Bench, Failed
from _jobs.peers import Peer

CLIENTS = 4
PAUSE = 0.02, 0.08
UP = 0.2, 2.0
"""Seconds between the first answer of a server and its kill."""
KINDS = {"succeeds": 12, "fails": 2, "refuses": 2, "times-out": 2, "hung-up": 2}
READY, SETTLED = 30, 75
LONGEST = 240, 60
"""Seconds after which ours, and a peer, are killed no more on a slow machine."""

HEAD = [
    *("peer", "kills", "requests", "acknowledged", "effects of these lost"),
    *("orders committed", "effects of these lost", "phantom effects"),
    *("`tx` effects twice", "other effects twice"),
]


@dataclass
class Run:
    """What was asked of one peer, and what became of it."""

    peer: Peer
    kills: int = 0
    asked: int = 0
    acknowledged: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    lines: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    failure: str = ""

    def cells(self) -> list[str]:
        if self.failure:
            return [self.peer.name, self.failure, *[""] * (len(HEAD) - 2)]
        figures = (
            *(self.kills, self.asked, len(self.acknowledged), self._missing(self.acknowledged)),
            *(len(self.orders), self._missing(self.orders), self._phantoms()),
            *(_twice(self.rows), _twice(self.lines)),
        )
        return [self.peer.name, *map(str, figures)]

    def _missing(self, keys: set[str]) -> int:
        return sum((key not in self.lines) + (key not in self.rows) for key in keys)

    def _phantoms(self) -> int:
        return sum(key not in self.orders for effects in (self.lines, self.rows) for key in effects)


def _twice(effects: Counter[str]) -> int:
    return sum(count - 1 for count in effects.values())


async def prove(bench: Bench, *, kills: int, peer_kills: int, wanted: list[Peer]) -> str:
    """Run the peers, two at a time, and return their table."""
    two = asyncio.Semaphore(2)

    async def one(peer: Peer) -> Run:
        async with two:
            run = Run(peer)
            ours = peer.distribution == "roadworthy"
            until = time.monotonic() + LONGEST[not ours]
            try:
                await _measure(bench, run, kills if ours else peer_kills, until)
            except (Failed, OSError) as failure:
                run.failure = str(failure)
            return run

    runs = await asyncio.gather(*(one(peer) for peer in wanted))
    return common.table(HEAD, [run.cells() for run in runs])


async def _measure(bench: Bench, run: Run, kills: int, until: float) -> None:
    if missing := run.peer.missing(bench):
        raise Failed(missing)
    with bench.database(run.peer.database) as url:
        effects = bench.file("effects")
        await asyncio.to_thread(bench.call, f"{run.peer.module}.prepare", url)
        service = Service(bench, run, url, effects)
        try:
            while run.kills < kills and time.monotonic() < until:
                await service.start()
                await service.load(random.uniform(*UP))
                service.stop()
                run.kills += 1
            await service.start()
            await _settle(run, url, effects)
        finally:
            service.stop()


async def _settle(run: Run, url: str, effects: Path) -> None:
    """Wait until nothing has happened for as long as this peer may need to notice a death."""
    last, since, end = -1, time.monotonic(), time.monotonic() + SETTLED
    while time.monotonic() < min(end, since + run.peer.quiet):
        await asyncio.sleep(0.5)
        run.lines = Counter(_words(effects))
        run.rows = Counter(str(key) for (key,) in common.query(url, "SELECT key FROM effects"))
        if last != (last := run.lines.total() + run.rows.total()):
            since = time.monotonic()
    run.orders = {str(key) for (key,) in common.query(url, "SELECT key FROM orders")}


def _words(file: Path) -> list[str]:
    return file.read_text().split()


class Service:
    """The server of one peer, on one port, as often as it is started."""

    def __init__(self, bench: Bench, run: Run, url: str, effects: Path) -> None:
        self._bench, self._run, self._url, self._effects = bench, run, url, effects
        self._port, self._process = common.free_port(), None

    async def start(self) -> None:
        words = f"{self._run.peer.module}.serve", self._url, self._port
        log = self._bench.folder / f"{self._run.peer.module}.serve.log"
        self._process = self._bench.start(*words, log=log, EFFECTS=str(self._effects))
        if not await asyncio.to_thread(common.listens, self._port, self._process, READY):
            raise Failed(f"the server did not start: {common.last_line(log)}")

    def stop(self) -> None:
        if self._process is not None:
            self._bench.kill(self._process)
            self._process = None

    async def load(self, seconds: float) -> None:
        """Have clients ask for as long, and kill the server under them."""
        clients = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]
        await asyncio.sleep(seconds)
        self.stop()
        # An answer that the kernel had already must still be counted.
        _, pending = await asyncio.wait(clients, timeout=5)
        for client in pending:
            client.cancel()

    async def _client(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                # Servers hang up after some errors, and when they are killed.
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    while await self._ask(reader, writer):  # noqa: ASYNC110 - a pace
                        await asyncio.sleep(random.uniform(*PAUSE))
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Place one order; tell whether the connection can be used again."""
        self._run.asked += 1
        key = f"order-{self._run.asked}"
        (kind,) = random.choices(list(KINDS), KINDS.values())
        writer.write(f"POST /orders/{key}/{kind} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if kind == "hung-up":
            await asyncio.sleep(random.uniform(0.01, 0.08))
            return False
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"http/1.1 201"):
            self._run.acknowledged.add(key)
        length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length))
        return b"connection: close" not in head


def settings(wanted: list[Peer]) -> str:
    return common.table(
        ["peer", "version", "settings"],
        [[peer.name, peer.version() or "not installed", peer.crash_settings] for peer in wanted],
    )


PEERS = peers.CRASH
