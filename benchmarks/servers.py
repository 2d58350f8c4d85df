"""Measure requests per second of `depot serve --workers 1` and `2`: `python benchmarks/servers.py`.

Both serve the same PostgreSQL database at the same time and are asked in turns, for a
few seconds each, so that whatever else the machine does hits both. Jobs run nowhere:
only requests are measured. The client is one thread with sockets that are kept open,
and no more than that: on a machine with few processors it takes its time from the
servers, and so does PostgreSQL. The table says how much each of them took.

PostgreSQL is the server that PG_URL names; by default, the one of this machine.
"""

import json
import os
import platform
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle, repeat
from pathlib import Path
from typing import Final

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.postgres import database_on, server_url
from support.server import Server

RESULTS: Final = Path(__file__).parent / "results" / "servers.md"
WORKERS: Final = (1, 2)
CLIENTS: Final = 16
SECONDS: Final = 4.0
ROUNDS: Final = 5
ITEMS: Final = 64
"""So many that those who write at a time seldom want the same one."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What was answered in one turn, and whose processors it took: seconds per second."""

    rate: float
    p50: float
    p99: float
    wrong: int
    server: float
    database: float
    client: float


@dataclass
class Peer:
    workers: int
    server: Server
    runs: dict[str, list[Run]] = field(default_factory=dict)


@dataclass(slots=True)
class Client:
    """A connection that asks again as soon as it is answered."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytes = b""


def main() -> None:
    with ExitStack() as opened, tempfile.TemporaryDirectory() as folder:
        admin = opened.enter_context(server_url())
        url = opened.enter_context(database_on(admin))
        peers = [
            Peer(workers, opened.enter_context(serving(url, workers, Path(folder))))
            for workers in WORKERS
        ]
        items = [add_item(peers[0].server.url) for _ in range(ITEMS)]
        for _ in range(ROUNDS):
            for name, ask in requests_of(items).items():
                for peer in peers:
                    peer.runs.setdefault(name, []).append(measure(peer, ask))
    RESULTS.write_text(report(peers))
    print(RESULTS.read_text())


@contextmanager
def serving(url: str, workers: int, folder: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "depot", "serve", "--port", "0", "--workers", str(workers)]
    environment = {
        "DEPOT_DATABASE__URL": url,
        "DEPOT_DATA_DIR": str(folder),
        "DEPOT_JOBS__RUN_IN_SERVER": "false",
        "DEPOT_SHUTDOWN__DRAIN_SECONDS": "0",
    }
    ready = r"Depot is ready on http://[^:]+:(?P<port>\d+)"
    log = folder / f"{workers}.log"
    server = Server(command, log=log, env=environment, ready=ready, timeout=120)
    try:
        yield server
    finally:
        server.stop(timeout=40)


def add_item(url: str) -> str:
    item = {"name": "Hammer", "quantity": 10**9, "price": "9.99"}
    return str(httpx.post(f"{url}/inventory", json=item, timeout=30).json()["id"])


def requests_of(items: list[str]) -> dict[str, Iterator[bytes]]:
    one = items[:1]
    return {
        "`GET /inventory/{id}`": repeat(request("GET", f"/inventory/{items[0]}")),
        f"`PATCH /inventory/{{id}}`, {ITEMS} items in turn": patches(items),
        "`PATCH /inventory/{id}`, all of one item": patches(one),
        f"`POST /orders`, {ITEMS} items in turn": orders(items),
        "`POST /orders`, all of one item": orders(one),
    }


def patches(items: list[str]) -> Iterator[bytes]:
    for number, item in zip(count(), cycle(items), strict=False):
        text = json.dumps({"description": f"Number {number}"})
        yield request("PATCH", f"/inventory/{item}", text)


def orders(items: list[str]) -> Iterator[bytes]:
    for item in cycle(items):
        order = {"customer_email": "ann@example.com", "lines": [{"item_id": item, "quantity": 1}]}
        yield request("POST", "/orders", json.dumps(order))


def request(method: str, path: str, body: str = "") -> bytes:
    framing = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: depot\r\n{framing}\r\n{body}".encode()


def measure(peer: Peer, ask: Iterator[bytes]) -> Run:
    """Ask for some seconds, and count what was answered."""
    before = (of_tree(peer.server.pid), of_postgres(), time.process_time())
    began = time.perf_counter()
    answers, wrong = ask_for(SECONDS, peer.server.port, ask)
    took = time.perf_counter() - began
    after = (of_tree(peer.server.pid), of_postgres(), time.process_time())
    server, database, client = ((b - a) / took for a, b in zip(before, after, strict=True))
    times = statistics.quantiles(answers, n=100)
    return Run(len(answers) / took, times[49], times[98], wrong, server, database, client)


def ask_for(seconds: float, port: int, ask: Iterator[bytes]) -> tuple[list[float], int]:
    answers: list[float] = []
    wrong = 0
    with selectors.DefaultSelector() as selector, ExitStack() as opened:
        for _ in range(CLIENTS):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            client = Client(one)
            selector.register(one, selectors.EVENT_READ, client)
            send(client, next(ask))
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for key, _ in selector.select(1):
                client = key.data
                client.received += client.socket.recv(65536)
                if not is_whole(client.received):
                    continue
                answers.append(time.perf_counter() - client.sent_at)
                wrong += not client.received.startswith(b"HTTP/1.1 20")
                send(client, next(ask))
    return answers, wrong


def send(client: Client, what: bytes) -> None:
    client.received = b""
    client.sent_at = time.perf_counter()
    client.socket.sendall(what)


def is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)


def of_tree(pid: int) -> float:
    """Return the processor seconds of a process and of those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return of_process(pid) + sum(of_tree(int(child)) for child in children)


def of_process(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def of_postgres() -> float:
    """Return those of all processes of PostgreSQL that are alive on this machine."""
    found = subprocess.run(["pgrep", "-x", "postgres"], capture_output=True, text=True, check=False)
    total = 0.0
    for pid in found.stdout.split():
        try:
            total += of_process(int(pid))
        except FileNotFoundError:
            continue
    return total


def report(peers: list[Peer]) -> str:
    load = os.getloadavg()[2]
    return (
        "# Requests per second with one and with two server processes\n\n"
        f"{__doc__.partition(chr(10))[2].strip()}\n\n"
        f"{CLIENTS} connections, {ROUNDS} turns of {SECONDS:.0f} s each; medians of the turns. "
        "*Processors* are seconds of processor time in a second of the clock.\n\n"
        "| request | workers | requests/s | p50 ms | p99 ms | not 2xx | processors: servers "
        "| PostgreSQL | client |\n|:--|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        + "".join(row(name, peer) for name in peers[0].runs for peer in peers)
        + f"\nObtained on {time.strftime('%Y-%m-%d', time.gmtime())} with `python "
        f"benchmarks/servers.py`, Python {platform.python_version()}, {os.cpu_count()} processors "
        f"({platform.machine()}), load average {load:.1f} over the last 15 minutes.\n"
    )


def row(name: str, peer: Peer) -> str:
    runs = peer.runs[name]

    def median(of: str) -> float:
        return statistics.median(getattr(run, of) for run in runs)

    return (
        f"| {name} | {peer.workers} | {median('rate'):.0f} | {median('p50') * 1000:.1f} "
        f"| {median('p99') * 1000:.1f} | {sum(run.wrong for run in runs)} "
        f"| {median('server'):.2f} | {median('database'):.2f} | {median('client'):.2f} |\n"
    )


if __name__ == "__main__":
    main()
