"""The clients: prepared bytes over real sockets, from another process than the server's."""

import hashlib
import heapq
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _uploads.service import SCRIPT, Failed, Service

BOUNDARY = b"----bench-7d93f1"
PIECE = 64 * 1024
"""What a client writes at a time when it is paced, as httpx and curl do."""
GETS_A_SECOND = 200


@dataclass(frozen=True, slots=True)
class Body:
    """A multipart body with one file, or many, in a file of the page cache."""

    path: Path
    size: int
    file_bytes: int
    sha256: str

    def head(self, target: str = "/files", *, expect: bool = False) -> bytes:
        return head(self.size, target, expect=expect)


def head(size: int, target: str, *, expect: bool = False) -> bytes:
    more = b"Expect: 100-continue\r\n" if expect else b""
    return (
        b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n%s"
        b"Content-Type: multipart/form-data; boundary=%s\r\n\r\n"
    ) % (target.encode(), size, more, BOUNDARY)


def part_head(*, filename: str = "big.bin", media_type: str = "application/octet-stream") -> bytes:
    return (
        f'--{BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{filename}"\r\nContent-Type: {media_type}\r\n\r\n'
    ).encode()


def body(path: Path, file: Iterator[bytes], *, times: int = 1) -> Body:
    """Frame a file, as many times as are wanted, and remember what its digest has to be."""
    digest, count = hashlib.sha256(), 0
    pieces = list(file) if times > 1 else file
    with path.open("wb") as framed:
        for _ in range(times):
            framed.write(part_head())
            for piece in pieces:
                digest.update(piece)
                count += framed.write(piece)
            framed.write(b"\r\n")
        framed.write(b"--%s--\r\n" % BOUNDARY)
    return Body(path, path.stat().st_size, count, digest.hexdigest())


def blob(size: int) -> Iterator[bytes]:
    """Yield bytes without a pattern, as those of compressed files."""
    block = os.urandom(min(size, 8 * 1024 * 1024) - 4)
    yield b"BLOB" + block
    left = size - 4 - len(block)
    while left > 0:
        yield block[:left]
        left -= len(block)


# --- one at a time --------------------------------------------------------------------


def send(service: Service, sent: Body, target: str = "/files") -> bytes:
    """Send a body as fast as it is taken, and return the body of the answer."""
    with service.connect() as connection, sent.path.open("rb") as file:
        connection.sendall(sent.head(target))
        connection.sendfile(file)
        return answer(connection)


def answer(connection: socket.socket) -> bytes:
    """Return the body of a 200; anything else is a failure."""
    status, text = response(connection)
    if status != 200:
        raise Failed(f"answered {status}: {text[:100]!r}")
    return text


def response(connection: socket.socket) -> tuple[int, bytes]:
    """Return the next final response: its status and its body."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            received += _more(connection)
        start, _, received = received.partition(b"\r\n\r\n")
        if not start.startswith(b"HTTP/1.1 100"):
            break
    length = int(start.lower().partition(b"content-length:")[2].partition(b"\r")[0])
    while len(received) < length:
        received += _more(connection)
    return int(start.split(b" ", 2)[1]), received


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise Failed("the connection was closed without an answer")
    return data


# --- many at once ---------------------------------------------------------------------


def send_paced(service: Service, sent: Body, *, times: int, rate: float) -> float:
    """Send a body on so many connections at once, each at so many bytes a second.

    Returns the seconds until the last answer.
    """
    data = memoryview(sent.path.read_bytes())
    connections = [service.connect() for _ in range(times)]
    began = time.perf_counter()
    try:
        for connection in connections:
            connection.sendall(sent.head())
            connection.setblocking(False)
        _pace(connections, data, rate)
        for connection in connections:
            connection.settimeout(60)
            answer(connection)
    finally:
        for connection in connections:
            connection.close()
    return time.perf_counter() - began


def _pace(connections: list[socket.socket], data: memoryview, rate: float) -> None:
    step, start = PIECE / rate, time.perf_counter()
    # Their pieces are spread evenly over a step: no two are due at once.
    due = [(start + step * n / len(connections), n) for n in range(len(connections))]
    offsets = [0] * len(connections)
    while due:
        when, n = heapq.heappop(due)
        time.sleep(max(0.0, when - time.perf_counter()))
        try:
            offsets[n] += connections[n].send(data[offsets[n] : offsets[n] + PIECE])
            when += step
        except BlockingIOError:  # the server is behind: it gets the rest when it reads again
            when = time.perf_counter() + 0.001
        if offsets[n] < len(data):
            heapq.heappush(due, (when, n))


# --- the unrelated request ------------------------------------------------------------


class Probe:
    """Ask `GET /ping` all the time from a process of its own; `times` are seconds."""

    def __init__(self, service: Service) -> None:
        words = [sys.executable, str(SCRIPT), "run", "client.probe", str(service.port)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.times: list[float] = []

    def __enter__(self) -> "Probe":
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun
        return self

    def __exit__(self, *_: object) -> None:
        written, _ = self._process.communicate(b"", timeout=60)
        if self._process.returncode == 0:
            self.times = json.loads(written)


def probe(port: str) -> None:
    """Ask at a steady rate until stdin ends; a GET that waited for the one before counts it."""
    import select

    request = b"GET /ping HTTP/1.1\r\nHost: bench\r\n\r\n"
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", int(port)), 30) as connection:
        for _ in range(20):
            connection.sendall(request)
            answer(connection)
        print("ready", flush=True)
        due = time.perf_counter()
        while not select.select([sys.stdin], [], [], 0)[0]:
            late = time.perf_counter() > due
            time.sleep(max(0.0, due - time.perf_counter()))
            began = due if late else time.perf_counter()
            connection.sendall(request)
            answer(connection)
            times.append(time.perf_counter() - began)
            due += 1 / GETS_A_SECOND
    print(json.dumps(times))
