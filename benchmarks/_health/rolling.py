"""`rolling`: two instances behind nginx that are restarted one after the other, under load."""

import asyncio
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn
from _jobs.common import Failed, free_port, percentile, table
from fastapi import FastAPI

from _health import CORES
from _health.balancer import Nginx, Orchestrator
from _health.client import request
from _health.service import Service

RATE = 200
"""Requests a second, every other one a POST."""
DRAIN = 2.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to restart."""

    name: str
    service: str
    path: str
    """What the orchestrator asks."""
    held_out: float = 0.0
    """For how many seconds an instance is taken out of the list before it is told to end."""


WAYS = [
    Way("**roadworthy.health**, a drain of 2 s", "ours", "/readyz"),
    Way("plain uvicorn", "plain", "/ping"),
    Way("plain uvicorn, taken out of the list 2 s before SIGTERM", "plain", "/ping", held_out=2.0),
]


# --- the instances ----------------------------------------------------------------------


def application(name: str) -> FastAPI:
    from roadworthy.health import Health
    from roadworthy.lifespan import lifespan

    health = Health(drain=timedelta(seconds=DRAIN))
    app = FastAPI(lifespan=lifespan(health)) if name == "ours" else FastAPI()

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    @app.get("/items/{number}")
    async def read(number: int) -> dict[str, int]:
        await asyncio.sleep(0.01)
        return {"number": number}

    @app.post("/items", status_code=201)
    async def create(item: dict[str, str]) -> dict[str, str]:
        await asyncio.sleep(0.03)
        return item

    if name == "ours":
        health.install(app)
    return app


def serve(name: str, port: str) -> None:
    uvicorn.run(application(name), port=int(port), log_level="warning", access_log=False)


# --- the load ---------------------------------------------------------------------------


@dataclass
class Load:
    """Ask at a constant rate, on a new connection each, until it is over."""

    port: int
    failures: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._over = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._send()])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _send(self) -> None:
        asked: list[asyncio.Task[None]] = []
        due = time.perf_counter()
        while not self._over.is_set():
            asked.append(asyncio.create_task(self._ask(len(asked))))
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.gather(*asked)

    async def _ask(self, number: int) -> None:
        began = time.perf_counter()
        method, data = ("POST", _post()) if number % 2 else ("GET", request(f"/items/{number}"))
        try:
            async with asyncio.timeout(10):
                status = await self._status(data)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.failures[f"{method} {type(error).__name__}"] += 1
            return
        if status >= 400:
            self.failures[f"{method} {status}"] += 1
        self.times.append(time.perf_counter() - began)

    async def _status(self, data: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length or 0))
            return int(head.split(b" ", 2)[1])
        finally:
            writer.transport.abort()


def _post() -> bytes:
    body = b'{"note":"%s"}' % (b"x" * 1000)
    return (
        b"POST /items HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    ) % (len(body), body)


# --- the restarts -----------------------------------------------------------------------


def prove(*, short: bool) -> str:
    runs = [(retries, way) for retries in (True, False) for way in WAYS]
    loads: list[list[Load]] = [[] for _ in runs]
    for _ in range(1 if short else 2):
        for (retries, way), done in zip(runs, loads, strict=True):
            done.append(_roll(way, retries=retries, times=1 if short else 2))
    head = ["nginx asks the other instance", "restarted", "requests", "failed", "which"]
    rows = [
        ["where one fails" if retries else "never", way.name, *_cells(done)]
        for (retries, way), done in zip(runs, loads, strict=True)
    ]
    return table([*head, "p50 ms", "p99 ms", "slowest ms"], rows)


def _roll(way: Way, *, retries: bool, times: int) -> Load:
    ports = [free_port(), free_port()]
    instances: dict[int, Service] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="rw_bench_nginx_") as folder:
            for port in ports:
                instances[port] = _start(way, port)
            with (
                Nginx(Path(folder), ports, retries=retries) as nginx,
                Orchestrator(nginx, ports, way.path) as orchestrator,
                Load(nginx.port) as load,
            ):
                began = time.monotonic()
                time.sleep(2)
                for port in ports * times:
                    _restart(way, port, instances, orchestrator)
                time.sleep(max(1.0, (20 if times > 1 else 5) - (time.monotonic() - began)))
    finally:
        for service in instances.values():
            service.__exit__()
    return load


def _restart(
    way: Way, port: int, instances: dict[int, Service], orchestrator: Orchestrator
) -> None:
    if way.held_out:
        orchestrator.hold_out(port)
        time.sleep(way.held_out)
    if instances[port].end(within=15) is None:
        raise Failed("an instance did not end within 15 s")
    instances[port].__exit__()
    orchestrator.forget(port)
    instances[port] = _start(way, port)
    orchestrator.let_in(port)
    orchestrator.wait_until_listed(port, seconds=10)
    time.sleep(1)


def _start(way: Way, port: int) -> Service:
    return Service("rolling.serve", way.service, port=port, core=CORES[0]).__enter__()


def _cells(loads: list[Load]) -> list[str]:
    times = [seconds for load in loads for seconds in load.times]
    failures = sum((load.failures for load in loads), Counter[str]())
    failed = sum(failures.values())
    transport = sum(n for kind, n in failures.items() if not kind[-3:].isdigit())
    return [
        str(len(times) + transport),
        str(failed),
        ", ".join(f"{n} {kind}" for kind, n in failures.most_common()) or "-",
        *(f"{percentile(times, share) * 1000:.0f}" for share in (0.5, 0.99, 1)),
    ]
