"""Early refusals, as real clients see them, and what hostile ones get out of the server.

The programs are curl, Node.js, nginx and Chromium where they are installed; the other
clients are those of the tests.
"""

import contextlib
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from _jobs.common import table
from fastapi import FastAPI, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from _uploads.peers import MIB

if TYPE_CHECKING:
    from support.server import Server
    from support.uploaders import Seen

__all__ = ["refusals_table", "serve"]

ROOT: Final = Path(__file__).parent.parent.parent
SIZE: Final = 30 * MIB
PLAIN, AT_ONCE, OURS = "FastAPI, `max_body_size`", "closing at once", "roadworthy"
PEERS: Final = (PLAIN, AT_ONCE, OURS)
ENDLESS: Final = 4.0
"""Seconds that a hostile client sends as fast as it can."""
TRICKLING: Final = 13.0
"""Seconds that a hostile client sends a byte now and then."""

HEAD: Final = b"POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % 2**40


# --- the servers ----------------------------------------------------------------------


class Counting(HttpToolsProtocol):
    """Count what is read from all sockets: what the application sees is less."""

    read = 0

    def data_received(self, data: bytes) -> None:
        Counting.read += len(data)
        super().data_received(data)


def serve(peer: str) -> None:
    """Serve a route that takes 1 MiB, as one of the peers; print the port."""
    uvicorn.run(application(peer), port=0, http=Counting, access_log=False)


def application(peer: str) -> Any:
    app = FastAPI(max_body_size=MIB)

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @app.get("/")
    async def read() -> int:
        return Counting.read

    if peer == OURS:
        from roadworthy import problems

        problems.install(app)
    return closing_at_once(app) if peer == AT_ONCE else app


def closing_at_once(app: Any) -> Any:
    """Let uvicorn close as soon as an error has been answered."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def mark(message: Any) -> None:
            if message.get("status", 0) >= 400:
                message["headers"].append((b"connection", b"close"))
            await send(message)

        await app(scope, receive, mark)

    return serve


# --- honest clients -------------------------------------------------------------------


def refusals_table() -> list[str]:
    """Measure it all, in about a minute; return the lines of two tables and their words."""
    sys.path.append(str(ROOT / "tests"))
    with (
        tempfile.TemporaryDirectory(prefix="rw_bench_refusals_") as folder,
        contextlib.ExitStack() as stack,
    ):
        servers = {peer: stack.enter_context(_server(peer, Path(folder))) for peer in PEERS}
        honest = _honest(servers, Path(folder), stack)
        hostile = _hostile(servers)
    return [
        f"{SIZE // MIB} MiB to a route that takes 1 MiB: what each client says that it was told,",
        "after how long (with the start of curl and Node.js), and what the server read from its",
        "sockets. nginx is Debian's; `proxy_request_buffering` is on by default.",
        *honest,
        "",
        f"Clients that go on after the 413: one sends as fast as it can for {ENDLESS:.0f} s, one a",
        f"byte each half second for {TRICKLING:.0f} s, one a single byte and then nothing.",
        "",
        *hostile,
    ]


@contextlib.contextmanager
def _server(peer: str, folder: Path) -> Iterator["Server"]:
    from support.server import Server

    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "uploads.py"),
        "run",
        "refusals.serve",
        peer,
    ]
    server = Server(command, log=folder / f"server-{PEERS.index(peer)}.log")
    yield server
    server.stop()


def _honest(servers: dict[str, "Server"], folder: Path, stack: contextlib.ExitStack) -> list[str]:
    clients = _clients(stack)
    lines = _way(
        "directly", {peer: server.url for peer, server in servers.items()}, servers, clients
    )
    try:
        for way, buffering in (("nginx", True), ("nginx, buffering off", False)):
            urls = {
                peer: _nginx(stack, server.port, folder / f"{way}{peer}", buffering=buffering)
                for peer, server in servers.items()
            }
            lines += _way(way, urls, servers, clients)
    except _unavailable() as reason:
        lines += ["", f"Not measured behind nginx: {reason}."]
    return lines


def _unavailable() -> type[Exception]:
    from support.debian import Unavailable

    return Unavailable


def _nginx(stack: contextlib.ExitStack, port: int, folder: Path, *, buffering: bool) -> str:
    from support.nginx import Nginx, proxy_to

    nginx = Nginx(proxy_to(port, buffering=buffering), folder=folder)
    stack.callback(nginx.stop)
    return nginx.url


def _clients(stack: contextlib.ExitStack) -> dict[str, Callable[[str], "Seen"]]:
    """Return what uploads to a URL, by the client's name and its framing."""
    from support.uploaders import UPLOADERS, Upload, chromium_uploader

    found: dict[str, Callable[[str], Seen]] = {}
    for name, uploader in UPLOADERS.items():
        for chunked in (False, True):
            label = f"{name}, chunked" if chunked else name
            found[label] = lambda url, up=uploader, cut=chunked: up(Upload(url, SIZE, cut))
    try:
        from support.chromium import Chromium

        chromium = Chromium()
    except (ImportError, _unavailable()):
        return found
    stack.callback(chromium.stop)
    from_page = chromium_uploader(chromium)
    return found | {"Chromium, fetch": lambda url: from_page(Upload(url, SIZE))}


def _way(
    way: str,
    urls: dict[str, str],
    servers: dict[str, "Server"],
    clients: dict[str, Callable[[str], "Seen"]],
) -> list[str]:
    """Let each client ask each server in turns."""
    rows, seen = [], dict.fromkeys(PEERS, 0)
    for name, upload in clients.items():
        row = [name]
        for peer in PEERS:
            before = _read(servers[peer])
            told = upload(f"{urls[peer]}/upload")
            seen[peer] += told.status == 413
            row.append(_cell(told, _read(servers[peer]) - before))
        rows.append(row)
    rows.append(["**see the 413**", *(f"**{seen[peer]} of {len(clients)}**" for peer in PEERS)])
    return ["", *table([way, *PEERS], rows).splitlines()]


def _cell(told: "Seen", read: int) -> str:
    what = str(told.status or _short(told.error))
    return f"{what} · {1000 * told.seconds:.0f} ms · {read / MIB:.1f} MiB"


def _short(error: str) -> str:
    """Return the words of an error that a reader knows it by."""
    for word in ("ECONNRESET", "EPIPE", "reset by peer", "other side closed"):
        if word in error:
            return word
    return error.partition("\n")[0].partition(":")[0][:40] or "nothing"


def _read(server: "Server") -> int:
    with urllib.request.urlopen(server.url) as reply:
        return int(reply.read())


# --- hostile clients ------------------------------------------------------------------


def _hostile(servers: dict[str, "Server"]) -> list[str]:
    # The fast ones alone: they would starve the others. The slow ones wait side by side.
    rows = [["endless", *(_attack(servers[peer], _endless, ENDLESS) for peer in PEERS)]]
    for name, way in (("trickling", _trickle), ("stalled", _stall)):
        with ThreadPoolExecutor(len(PEERS)) as pool:
            cells = pool.map(lambda peer, way=way: _attack(servers[peer], way, TRICKLING), PEERS)
            rows.append([name, *cells])
    return table(["the body is", *PEERS], rows).splitlines()


def _attack(server: "Server", way: Callable[[socket.socket, float], bool], seconds: float) -> str:
    before, burnt = _read(server), _cpu(server)
    with socket.create_connection(("127.0.0.1", server.port), seconds) as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % 2**40
        )
        connection.recv(65536)
        began = time.monotonic()
        closed = way(connection, began + seconds)
        took = time.monotonic() - began
    read, burnt = _read(server) - before, _cpu(server) - burnt
    end = f"closed after {took:.1f} s" if closed else f"still open after {took:.0f} s"
    return f"{end} · {read / MIB:,.0f} MiB read · {burnt:.1f} s of CPU"


def _endless(connection: socket.socket, until: float) -> bool:
    piece = bytes(256 * 1024)
    try:
        while time.monotonic() < until:
            connection.sendall(piece)
    except OSError:
        return True
    return False


def _trickle(connection: socket.socket, until: float) -> bool:
    return _wait(connection, until, each=0.5, piece=b"x")


def _stall(connection: socket.socket, until: float) -> bool:
    connection.sendall(b"x")
    return _wait(connection, until, each=0.5, piece=b"")


def _wait(connection: socket.socket, until: float, *, each: float, piece: bytes) -> bool:
    connection.settimeout(each)
    while time.monotonic() < until:
        try:
            if not connection.recv(65536):
                return True
        except TimeoutError:
            connection.sendall(piece)
        except OSError:
            return True
    return False


def _cpu(server: "Server") -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
