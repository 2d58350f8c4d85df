"""Memory: what the server process holds, read from the operating system."""

import select
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from _jobs.common import table

from _uploads import client
from _uploads.client import Body
from _uploads.peers import FASTAPI, IDLE_SECONDS, LIMIT, LITESTAR, MIB, MOST_FILES, OURS
from _uploads.service import KIB, Failed, Service

PEERS = (OURS, FASTAPI, LITESTAR, LIMIT)
MANY = 50
BEFORE_THE_STALL = 100 * KIB
SMALL = 32 * KIB
"""What malloc is told to give back to the system when it is freed: whatever is larger."""


def prove(folder: Path, *, short: bool) -> str:
    """Return a table of what grows, and one of uploads that stall."""
    stalled = 50 if short else 200
    columns = [
        _growth(folder, small=(16 if short else 64) * MIB, large=(64 if short else 512) * MIB),
        _at_once(folder, size=(2 if short else 16) * MIB, rate=None),
        _at_once(folder, size=4 * MIB, rate=2 * MIB),
        _small_files(folder, size=(64 if short else 512) * KIB),
    ]
    head = ["MiB more", "512 MiB after 64 MiB", f"{MANY} at once", f"{MANY} at once, paced"]
    head += [f"{MOST_FILES:,} files in one request"]
    first = _table(head, columns, PEERS)
    head = [
        "stalled",
        "KiB each",
        "KiB in use",
        "answer",
        "answered after s",
        "closed after s",
        "still open",
    ]
    rows = [[peer, *_attempt(lambda name=peer: _stalled(name, stalled))] for peer in PEERS]
    width = len(head)
    second = table(head, [[*row, *[""] * (width - len(row))] for row in rows])
    return f"{first}\n\n{second}"


Column = Callable[[str], str]


def _table(head: list[str], columns: list[Column], names: Iterable[str]) -> str:
    rows = [[name, *(_attempt(lambda c=c, n=name: [c(n)])[0] for c in columns)] for name in names]
    return table(head, rows)


def _attempt(measure: Callable[[], list[str]]) -> list[str]:
    try:
        return measure()
    except (Failed, OSError) as failure:
        return [str(failure)[:80] or type(failure).__name__]


def _grown(service: Service, before: int) -> str:
    return f"{max(0, service.peak_rss() - before) / MIB:.1f}"


def _warmed(folder: Path, service: Service) -> None:
    """Send what every later upload needs anyway: imports, threads, the first buffers."""
    small = client.body(folder / "warm", client.blob(4 * MIB))
    for _ in range(3):
        client.send(service, small)
    small.path.unlink()
    service.empty()


# --- what grows -----------------------------------------------------------------------


def _growth(folder: Path, *, small: int, large: int) -> Column:
    def measure(peer: str) -> str:
        with Service(peer) as service:
            _warmed(folder, service)
            _send_blob(folder, service, small)
            before = service.peak_rss()
            _send_blob(folder, service, large)
            return _grown(service, before)

    return measure


def _send_blob(folder: Path, service: Service, size: int) -> None:
    sent = client.body(folder / "growing", client.blob(size))
    client.send(service, sent)
    sent.path.unlink()
    service.empty()


def _at_once(folder: Path, *, size: int, rate: float | None) -> Column:
    def measure(peer: str) -> str:
        sent = client.body(folder / "at_once", client.blob(size))
        with Service(peer) as service:
            _warmed(folder, service)
            before = service.rss()
            service.forget_peak()
            # Without a pace, each connection is written to whenever it takes something.
            client.send_paced(service, sent, times=MANY, rate=rate or 1024 * MIB)
            return _grown(service, before)

    return measure


def _small_files(folder: Path, *, size: int) -> Column:
    def measure(peer: str) -> str:
        if peer == LIMIT:
            return "-"
        sent: Body = client.body(folder / "small", client.blob(size), times=MOST_FILES)
        with Service(peer) as service:
            _warmed(folder, service)
            before = service.rss()
            service.forget_peak()
            client.send(service, sent, "/many")
            kept = len([path for path in service.folder.rglob("*") if path.is_file()])
            if kept != MOST_FILES:
                raise Failed(f"it kept {kept} files")
            return _grown(service, before)

    return measure


# --- what stalls ----------------------------------------------------------------------


def _stalled(peer: str, count: int) -> list[str]:
    """Stop in the middle of many uploads, and see what they hold and when they end."""
    in_use, *_ = _stalled_once(peer, count, {"MALLOC_MMAP_THRESHOLD_": str(SMALL)})
    held, *ends = _stalled_once(peer, count, {})
    return [held, in_use, *ends]


def _stalled_once(peer: str, count: int, environment: dict[str, str]) -> list[str]:
    begun = b"BLOB" + bytes(BEFORE_THE_STALL)
    text = client.head(64 * MIB, "/files") + client.part_head() + begun
    with Service(peer, environment=environment) as service:
        _warmed(service.temporary, service)
        before = service.rss()
        connections = [_stall(service, text) for _ in range(count)]
        stopped = time.perf_counter()
        time.sleep(IDLE_SECONDS - 1)
        held = (service.rss() - before) / count / KIB
        ends = _ends(connections, stopped + 2 * IDLE_SECONDS + 1)
        for connection in connections:
            connection.close()
    statuses = " ".join(sorted({end.status for end in ends if end.status})) or "-"
    answered = _span(end.answered - stopped for end in ends if end.answered)
    closed = _span(end.closed - stopped for end in ends if end.closed)
    still_open = sum(not end.closed for end in ends)
    return [f"{held:.0f}", statuses, answered, closed, f"{still_open} of {count}"]


def _span(times: Iterable[float]) -> str:
    ordered = sorted(times)
    return f"{ordered[0]:.1f} to {ordered[-1]:.1f}" if ordered else "never"


def _stall(service: Service, text: bytes) -> socket.socket:
    connection = service.connect()
    connection.sendall(text)
    return connection


@dataclass(slots=True)
class End:
    """When a connection was answered and closed; 0 for never."""

    status: str = ""
    answered: float = 0.0
    closed: float = 0.0


def _ends(connections: list[socket.socket], until: float) -> list[End]:
    ends = {connection: End() for connection in connections}
    left = set(connections)
    while left and (now := time.perf_counter()) < until:
        for one in select.select(list(left), [], [], until - now)[0]:
            data, end = _received(one), ends[one]
            if data and not end.answered:
                end.answered, end.status = time.perf_counter(), data.split(b" ", 2)[1].decode()
            if not data:
                end.closed = time.perf_counter()
                left.discard(one)
    return list(ends.values())


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""
