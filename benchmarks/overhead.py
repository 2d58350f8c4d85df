"""Measure what the contract costs a request: `python benchmarks/overhead.py`.

One GET that answers a small model, served by one uvicorn process on one core, asked by
sockets that are kept open, from another core. All peers run at once and are asked in
turns, so that a noisy machine is noisy for all of them. CPU time is the server's own,
read from the operating system: it is the steadier figure.

Roadworthy's row has problems, request ids, a request log and conditional requests
(`ConditionalGet`); the next has the conditional part as a parameter of the route instead.
Uvicorn's access log is off but for one row, since each peer logs requests itself.
Metrics are those of `Telemetry`, read at /metrics; another row has traces as well, which
nobody exports. For comparison, one row has the metrics that the glue uses, and one row leaves
them out of the glue.

`python benchmarks/overhead.py serve PEER PORT` is what it runs as a server.
"""

import argparse
import os
import random
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

ROUNDS = 10
REQUESTS = 800
CLIENTS = 8
RESULTS = Path(__file__).parent / "results" / "overhead.md"


class Item(BaseModel):
    id: int
    name: str
    quantity: int
    price: str
    attributes: dict[str, str]


ITEM = Item(id=1, name="Widget", quantity=5, price="9.99", attributes={"colour": "red"})


# --- the servers ----------------------------------------------------------------------


def bare() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> Item:
        return ITEM

    return app


def roadworthy(
    *, in_the_route: bool = False, metrics: bool = False, telemetry: dict[str, Any] | None = None
) -> FastAPI:
    from roadworthy import problems
    from roadworthy.conditional import ConditionalGet, IfNoneMatch, set_etag
    from roadworthy.observability import RequestLog, Telemetry

    told = Telemetry(**telemetry) if telemetry is not None else None
    app = FastAPI(telemetry=told.options() if told else None)
    if in_the_route:

        @app.get("/items/{item_id}")
        async def item_unless(item_id: int, none_match: IfNoneMatch) -> Item:
            none_match.check(7)
            return ITEM

    else:

        @app.get("/items/{item_id}")
        async def item(item_id: int, response: Response) -> Item:
            set_etag(response, 7)
            return ITEM

        app.add_middleware(ConditionalGet)
    if metrics:
        instrument(app)
    problems.install(app, observe=RequestLog())
    if told:
        told.install(app)
    return app


def glue(*, metrics: bool = True, base_logger: bool = False) -> FastAPI:
    import structlog
    from asgi_correlation_id import CorrelationIdMiddleware
    from fastapi_problem.handler import add_exception_handler, new_exception_handler

    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    app = bare()
    add_exception_handler(app, new_exception_handler())
    if base_logger:
        app.middleware("http")(log_with_call_next)
    else:
        app.add_middleware(StructlogMiddleware)
    if metrics:
        instrument(app)
    app.add_middleware(CorrelationIdMiddleware)
    return app


def instrument(app: FastAPI) -> None:
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator().instrument(app)


class StructlogMiddleware:
    """What most services write to log their requests, without BaseHTTPMiddleware."""

    def __init__(self, app: Any) -> None:
        import structlog

        self.app, self.log = app, structlog.get_logger()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def note(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self.app(scope, receive, note)
        write(self.log, scope["method"], scope["path"], status, began)


async def log_with_call_next(request: Request, call_next: Callable[[Request], Any]) -> Any:
    import structlog

    began = time.perf_counter()
    response = await call_next(request)
    write(structlog.get_logger(), request.method, request.url.path, response.status_code, began)
    return response


def write(log: Any, method: str, path: str, status: int, began: float) -> None:
    from asgi_correlation_id import correlation_id

    log.info(
        "request",
        method=method,
        path=path,
        status=status,
        milliseconds=(time.perf_counter() - began) * 1000,
        request_id=correlation_id.get(),
    )


WITH_ACCESS_LOG = "bare FastAPI, uvicorn's access log on"

PEERS: dict[str, Callable[[], FastAPI]] = {
    "bare FastAPI": bare,
    WITH_ACCESS_LOG: bare,
    "roadworthy": roadworthy,
    "roadworthy, If-None-Match in the route": lambda: roadworthy(in_the_route=True),
    "roadworthy, metrics": lambda: roadworthy(telemetry={}),
    "roadworthy, metrics and traces": lambda: roadworthy(telemetry={"tracing": True}),
    "roadworthy + the glue's metrics": lambda: roadworthy(metrics=True),
    "glue without metrics": lambda: glue(metrics=False),
    "glue": glue,
    "glue, logging in a BaseHTTPMiddleware": lambda: glue(base_logger=True),
}


def serve(peer: str, port: int) -> None:
    logs = peer == WITH_ACCESS_LOG
    level = "info" if logs else "warning"
    # Connections stay open while the others have their turn.
    uvicorn.run(PEERS[peer](), port=port, log_level=level, access_log=logs, timeout_keep_alive=600)


# --- the client -----------------------------------------------------------------------

REQUEST = b"GET /items/1 HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n"


class Peer:
    """One server and what was measured of it."""

    def __init__(self, name: str, cores: list[int]) -> None:
        self.name = name
        self.rates: list[float] = []
        self.costs: list[float] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, __file__, "serve", name, str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.sched_setaffinity(self.process.pid, cores[:1])
        self.sockets = [self._connect() for _ in range(CLIENTS)]

    def _connect(self) -> socket.socket:
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start")

    def cpu_seconds(self) -> float:
        # Nanoseconds on a processor, of the one thread that serves.
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def round(self, requests: int) -> None:
        before, began = self.cpu_seconds(), time.perf_counter()
        ask_all(self.sockets, requests // CLIENTS)
        self.rates.append(requests / (time.perf_counter() - began))
        self.costs.append((self.cpu_seconds() - before) / requests * 1e6)


def ask_all(sockets: list[socket.socket], times: int) -> None:
    """Keep one request in flight on each socket, from one thread: the client is cheap."""
    left = dict.fromkeys(sockets, times)
    heard = dict.fromkeys(sockets, b"")
    for one in sockets:
        one.sendall(REQUEST)
    while left:
        for one in select.select(list(left), [], [])[0]:
            heard[one] += one.recv(65536)
            if not heard[one].endswith(b"}}"):  # the body may come in a packet of its own
                continue
            if not heard[one].startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not a 200: {heard[one][:200]!r}")
            heard[one] = b""
            left[one] -= 1
            if left[one]:
                one.sendall(REQUEST)
            else:
                del left[one]


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    peers = [Peer(name, cores) for name in PEERS]
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        for peer in peers:
            peer.round(400)
            peer.rates.clear()
            peer.costs.clear()
        for _ in range(ROUNDS):
            for peer in random.sample(peers, len(peers)):
                peer.round(REQUESTS)
    finally:
        for peer in peers:
            for one in peer.sockets:
                one.close()
            peer.process.terminate()
            peer.process.wait()
    table = render(peers)
    print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{__doc__}\n\n{table}\n")


def render(peers: list[Peer]) -> str:
    bare_rates, bare_costs = peers[0].rates, peers[0].costs
    lines = [
        "| peer | requests/s | of bare | CPU µs/request | of bare |",
        "|---|--:|--:|--:|--:|",
    ]
    for peer in peers:
        rate = statistics.median(a / b for a, b in zip(peer.rates, bare_rates, strict=True))
        # Less CPU is faster: the ratio is turned so that 1 is as fast as bare.
        cost = statistics.median(b / a for a, b in zip(peer.costs, bare_costs, strict=True))
        lines.append(
            f"| {peer.name} | {statistics.median(peer.rates):.0f} | {rate:.2f} "
            f"| {statistics.median(peer.costs):.0f} | {cost:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the contract costs a request.")
    parser.add_argument("command", nargs="?", choices=["serve"])
    parser.add_argument("peer", nargs="?", choices=list(PEERS))
    parser.add_argument("port", nargs="?", type=int)
    arguments = parser.parse_args()
    if arguments.command:
        serve(arguments.peer, arguments.port)
    else:
        main()
