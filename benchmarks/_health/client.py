"""The clients: many requests at once, from one thread that is cheap, or one at a time."""

import selectors
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What one probe got: status 0 where there was no answer, or the connection was cut."""

    status: int
    seconds: float

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def wave(port: int, paths: list[str], *, deadline: float) -> list[Answer]:
    """Ask all paths at once, each on a connection of its own, and wait for all answers."""
    with selectors.DefaultSelector() as selector:
        try:
            for path in paths:
                one = socket.create_connection(("127.0.0.1", port), 30)
                one.setblocking(False)
                selector.register(one, selectors.EVENT_READ, [request(path), 0.0])
            return _ask(selector, deadline)
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def _ask(selector: selectors.BaseSelector, deadline: float) -> list[Answer]:
    began = time.perf_counter()
    for key in selector.get_map().values():
        key.data[1] = time.perf_counter()
        key.fileobj.sendall(key.data[0])  # type: ignore[union-attr]
    answers = []
    while selector.get_map() and (left := began + deadline - time.perf_counter()) > 0:
        for key, _ in selector.select(left):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            # The status line comes in the first packet: that is the answer to a probe.
            answers.append(Answer(_status(one), time.perf_counter() - key.data[1]))
            selector.unregister(one)
            one.close()
    return answers + [Answer(0, deadline)] * len(selector.get_map())


def _status(one: socket.socket) -> int:
    try:
        data = one.recv(65536)
    except OSError:
        return 0
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


def ask(port: int, path: str, *, deadline: float) -> tuple[Answer, bytes]:
    """Ask once, on a new connection, and return the body, too."""
    began, data = time.perf_counter(), b""
    try:
        with socket.create_connection(("127.0.0.1", port), deadline) as one:
            one.sendall(request(path))
            while received := one.recv(65536):
                data += received
    except OSError:
        pass
    status = int(data.split(b" ", 2)[1]) if data else 0
    return Answer(status, time.perf_counter() - began), data.partition(b"\r\n\r\n")[2]


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()


@dataclass
class Watch:
    """Ask `/ping` 40 times a second, and `/pool` 10 times, while the context lasts."""

    port: int
    pings: list[Answer] = field(default_factory=list)
    taken: int = 0
    """The most connections of the pool that were lent."""

    def __enter__(self) -> "Watch":
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ping), threading.Thread(target=self._look)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ping(self) -> None:
        due = time.perf_counter()
        while not self._over.wait(max(0.0, due - time.perf_counter())):
            answer, _ = ask(self.port, "/ping", deadline=5)
            # A ping that had to wait for the one before counts that wait.
            self.pings.append(Answer(answer.status, time.perf_counter() - due))
            due += 0.025

    def _look(self) -> None:
        while not self._over.wait(0.1):
            _, body = ask(self.port, "/pool", deadline=5)
            self.taken = max(self.taken, int(body) if body.isdigit() else 0)
