"""`cost`: processor time of requests and of probes, and that of a service with nothing to do."""

import asyncio
import random
import select
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from itertools import chain
from typing import Any

import uvicorn
from _jobs.common import Failed, table
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from _health import CORES
from _health.peers import PEERS
from _health.service import Service
from support.postgres import private_postgres

CLIENTS = 8
SECOND = timedelta(seconds=1)


class Item(BaseModel):
    id: int
    name: str
    quantity: int
    price: str
    attributes: dict[str, str]


ITEM = Item(id=1, name="Widget", quantity=5, price="9.99", attributes={"colour": "red"})


# --- the applications -------------------------------------------------------------------


def bare(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/items/{item_id}")
    async def read(item_id: int) -> Item:
        return ITEM

    @app.post("/items", status_code=201)
    async def create(item: Item) -> Item:
        return item

    return app


def with_health() -> FastAPI:
    from roadworthy.health import Health
    from roadworthy.lifespan import lifespan

    health = Health(drain=2 * SECOND)
    app = bare(lifespan=lifespan(health))
    health.install(app)
    return app


def with_limits(**more: Any) -> FastAPI:
    from roadworthy import limits

    app = bare()
    limits.install(app, time=30 * SECOND, at_most=1000, **more)
    return app


def with_a_timeout_in_middleware() -> FastAPI:
    """What articles write for a limit of time."""
    app = bare()

    @app.middleware("http")
    async def limit(request: Request, call_next: Callable[[Request], Any]) -> Response:
        try:
            response: Response = await asyncio.wait_for(call_next(request), 30)
        except TimeoutError:
            return Response(status_code=504)
        return response

    return app


def with_problems(*, logs: bool) -> FastAPI:
    from roadworthy import problems
    from roadworthy.observability import RequestLog

    app = bare()
    problems.install(app, observe=RequestLog() if logs else None)
    return app


def with_metrics() -> FastAPI:
    from roadworthy import problems
    from roadworthy.observability import Telemetry

    telemetry = Telemetry()
    app = bare(telemetry=telemetry.options())
    problems.install(app)  # it is the contract that measures
    telemetry.install(app)
    return app


def with_the_instrumentator() -> FastAPI:
    from prometheus_fastapi_instrumentator import Instrumentator

    app = bare()
    Instrumentator().instrument(app).expose(app)
    return app


def with_all() -> FastAPI:
    """Stand as Depot does: limits inside, then probes, then the contract, and metrics."""
    from roadworthy import limits, problems
    from roadworthy.health import Health
    from roadworthy.lifespan import lifespan
    from roadworthy.observability import RequestLog, Telemetry

    health, telemetry = Health(drain=2 * SECOND), Telemetry()
    app = bare(lifespan=lifespan(health), telemetry=telemetry.options())
    limits.install(app, time=30 * SECOND, at_most=1000)
    health.install(app)
    problems.install(app, observe=RequestLog())
    telemetry.install(app)
    return app


APPLICATIONS: dict[str, Callable[[], FastAPI]] = {
    "bare FastAPI": bare,
    "**`health.install`**": with_health,
    "**`limits.install`**, `time` and `at_most`": with_limits,
    "**the same**, `cancel_on_disconnect`": lambda: with_limits(cancel_on_disconnect=True),
    "`wait_for` in `@app.middleware`, as articles": with_a_timeout_in_middleware,
    "**`problems.install`**": lambda: with_problems(logs=False),
    "**`problems.install` with `RequestLog`**": lambda: with_problems(logs=True),
    "**`problems.install` with `Telemetry`**, metrics": with_metrics,
    "prometheus-fastapi-instrumentator": with_the_instrumentator,
    "**all of ours**": with_all,
}


def serve(name: str, port: str) -> None:
    # Connections are kept while the others are asked.
    uvicorn.run(
        APPLICATIONS[name](),
        port=int(port),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=600,
    )


# --- the client -------------------------------------------------------------------------


class Asked:
    """A service, connections to it that are kept open, and what one request costs it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.costs: list[float] = []
        where = ("127.0.0.1", service.port)
        self._sockets = [socket.create_connection(where, 60) for _ in range(CLIENTS)]

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def round(self, request: bytes, times: int) -> None:
        """Keep one request in flight on each connection, from one thread."""
        before = self.service.cpu_seconds()
        left = dict.fromkeys(self._sockets, times // CLIENTS)
        heard = dict.fromkeys(self._sockets, b"")
        for one in left:
            one.sendall(request)
        while left:
            for one in select.select(list(left), [], [])[0]:
                heard[one] += _received(one)
                if not _is_whole(heard[one]):
                    continue
                heard[one] = b""
                left[one] -= 1
                if left[one]:
                    one.sendall(request)
                else:
                    del left[one]
        self.costs.append((self.service.cpu_seconds() - before) / times * 1e6)


def _received(one: socket.socket) -> bytes:
    if data := one.recv(65536):
        return data
    raise Failed("a connection was closed")


def _is_whole(heard: bytes) -> bool:
    head, end, body = heard.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 20"):
        raise Failed(f"not well: {heard[:100]!r}")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
    return len(body) >= int(length or 0)


GET = b"GET /items/1 HTTP/1.1\r\nHost: bench\r\n\r\n"
_BODY = ITEM.model_dump_json().encode()
POST = (
    b"POST /items HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s"
) % (len(_BODY), _BODY)


# --- the tables -------------------------------------------------------------------------


def prove(*, short: bool) -> str:
    return f"{_of_requests(short=short)}\n\nOf probes:\n\n{_of_probes(short=short)}"


def _of_requests(*, short: bool) -> str:
    rounds, times = (3, 80) if short else (20, 400)
    with ExitStack() as stack:
        asked = {
            name: _enter(stack, Service("cost.serve", name, core=CORES[0])) for name in APPLICATIONS
        }
        found = {
            method: _rounds(dict.fromkeys(asked, request), asked, rounds=rounds, times=times)
            for method, request in (("GET", GET), ("POST", POST))
        }
    head = ["service"]
    for method in found:
        head += [f"{method}: CPU µs", "above bare", "middle half", "of bare"]
    columns = [_columns(costs) for costs in found.values()]
    return table(head, [[name, *chain.from_iterable(of[name] for of in columns)] for name in asked])


def _enter(stack: ExitStack, service: Service) -> Asked:
    asked = Asked(stack.enter_context(service))
    stack.callback(asked.close)
    return asked


def _rounds(
    requests: dict[str, bytes], asked: dict[str, Asked], *, rounds: int, times: int
) -> dict[str, list[float]]:
    """Ask all in turns, in another order each time; the first round warms up."""
    for one in asked.values():
        one.costs = []
    for _ in range(rounds + 1):
        for name in random.sample(list(asked), len(asked)):
            asked[name].round(requests[name], times)
    return {name: one.costs[1:] for name, one in asked.items()}


def _columns(costs: dict[str, list[float]]) -> dict[str, list[str]]:
    base = next(iter(costs.values()))
    found = {}
    for name, mine in costs.items():
        above = [a - b for a, b in zip(mine, base, strict=True)]
        low, _, high = statistics.quantiles(above, n=4)
        found[name] = [
            f"{statistics.median(mine):.0f}",
            f"{statistics.median(above):.1f}",
            f"{low:.1f} to {high:.1f}",
            f"{statistics.median(a / b for a, b in zip(mine, base, strict=True)):.2f}",
        ]
    return found


def _of_probes(*, short: bool) -> str:
    rounds, times = (2, 16) if short else (10, 80)
    paths = [(peer, path) for peer in PEERS for path in peer.paths]
    with private_postgres() as database, ExitStack() as stack:
        services = {
            peer.name: stack.enter_context(
                Service("peers.serve", peer.name, core=CORES[0], BENCH_URL=database.url)
            )
            for peer in PEERS
        }
        idle = _idle(services, seconds=2 if short else 10)
        asked, requests = {}, {}
        for peer, path in paths:
            asked[path + peer.name] = one = Asked(services[peer.name])
            stack.callback(one.close)
            requests[path + peer.name] = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        found = _rounds(requests, asked, rounds=rounds, times=times)
    ours = found[paths[0][1] + paths[0][0].name]
    rows = []
    for peer, path in paths:
        mine = found[path + peer.name]
        ratio = statistics.median(a / b for a, b in zip(mine, ours, strict=True))
        cost = f"{statistics.median(mine):.0f}"
        rows.append([peer.name, f"`{path}`", cost, f"{ratio:.1f}", f"{idle[peer.name]:.1f}"])
    head = ["service", "probe", "CPU µs", "of ours, `/readyz`", "idle: CPU ms/s"]
    return table(head, rows)


def _idle(services: dict[str, Service], *, seconds: float) -> dict[str, float]:
    """Return what each uses while nobody asks, in milliseconds a second."""
    time.sleep(2)
    before = {name: service.cpu_seconds() for name, service in services.items()}
    time.sleep(seconds)
    return {
        name: (service.cpu_seconds() - before[name]) / seconds * 1000
        for name, service in services.items()
    }
