"""Services with jobs that are killed under load, and several on one database."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from statistics import median
from threading import Event, Thread

from jobs.conftest import Books, until
from support.http import RawClient
from support.pace import Pace
from support.sampling import mostly_on
from support.server import Server

Start = Callable[..., Server]

CRASHES = 6
CLIENTS = 4


class Client:
    """Somebody who orders without a pause, in three ways, whatever happens to the server."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.port = 0
        self.asked: set[str] = set()
        self.refused: set[str] = set()
        self.acknowledged: set[str] = set()
        self._random = random.Random(number)

    def order_until(self, told: Event) -> None:
        while not told.is_set():
            try:
                self._order(f"{self.number}-{len(self.asked)}")
            except (OSError, ValueError, IndexError):
                time.sleep(0.02)  # the server is dead: ask the next one

    def _order(self, name: str) -> None:
        self.asked.add(name)
        kind = self._random.choice(["stays", "stays", "stays", "fails", "leaves"])
        fails = "true" if kind == "fails" else "false"
        if kind == "fails":
            self.refused.add(name)
        with RawClient(self.port, timeout=5) as connection:
            connection.send("POST", f"/orders/{name}?fails={fails}&after=0.05")
            if kind != "leaves" and connection.receive().status == 200:
                self.acknowledged.add(name)


@contextmanager
def ordering(clients: list[Client]) -> Iterator[None]:
    told = Event()
    threads = [Thread(target=client.order_until, args=[told]) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        told.set()
        for thread in threads:
            thread.join()


def union(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)


def names_of(effects: Counter[str], kind: str) -> set[str]:
    return {name.removeprefix(kind) for name in effects if name.startswith(kind)}


@mostly_on("sqlite")
def test_crashes_lose_nothing_invent_nothing_and_repeat_nothing(start: Start, books: Books) -> None:
    clients = [Client(number) for number in range(CLIENTS)]
    chance = random.Random(7)

    server = serve_orders(start, books, clients)
    with ordering(clients):
        for _ in range(CRASHES):
            time.sleep(chance.uniform(0.2, 1.2))
            server.stop(signal.SIGKILL)
            server = serve_orders(start, books, clients)
    until(lambda: set(books.states()) == {"succeeded"}, seconds=40)

    effects = books.effects()
    once, at_least_once = names_of(effects, "once "), names_of(effects, "at least once ")
    acknowledged = union(client.acknowledged for client in clients)
    assert acknowledged <= once, "an acknowledged request without its effect"
    assert acknowledged <= at_least_once, "an acknowledged request without its effect"
    assert once == at_least_once, "half of a request"
    assert once <= union(client.asked for client in clients), "a phantom"
    assert not once & union(client.refused for client in clients), "a phantom"
    repeated = {name for name, count in effects.items() if count > 1}
    assert not {name for name in repeated if name.startswith("once ")}
    # Each job is one order's, run once more than its worker died.
    assert max(effects.values()) <= CRASHES + 1


def count_acknowledged(clients: list[Client]) -> int:
    return sum(len(client.acknowledged) for client in clients)


def serve_orders(start: Start, books: Books, clients: list[Client]) -> Server:
    server = start(books.url, lease=1)
    for client in clients:
        client.port = server.port
    return server


@mostly_on("postgresql")
def test_two_processes_run_each_job_once(start: Start, books: Books) -> None:
    servers = [start(books.url, concurrency=10), start(books.url, concurrency=10)]

    names = [f"{number}" for number in range(150)]
    with RawClient(servers[0].port) as one, RawClient(servers[1].port) as other:
        for number, name in enumerate(names):
            client = one if number % 2 else other
            assert client.request("POST", f"/orders/{name}?after=0.01").status == 200
    books.wait_for_states(succeeded=300, seconds=40)

    assert set(books.effects().values()) == {1}
    assert len(books.effects()) == 300
    assert {job.attempts for job in books.jobs()} == {1}
    shares = Counter(job.worker for job in books.jobs())
    assert len(shares) == 2, "both have worked"


def latencies(front: Server, books: Books, *, times: int) -> list[float]:
    """Return how long each job waited for its start, in a process that enqueues only."""
    with RawClient(front.port) as client:
        for number in range(times):
            assert client.request("POST", "/enqueue/nothing", json={"number": number}).status == 200
            until(lambda done=number + 1: books.states()["succeeded"] == done)
    return [(job.started_at - job.enqueued_at).total_seconds() for job in books.jobs()]


def test_another_process_hears_of_a_job_long_before_it_would_look(
    start: Start, open_books: Callable[[str], Books], postgres_url: str
) -> None:
    books = open_books(postgres_url)
    start(postgres_url, service="worker", poll=30)
    front = start(postgres_url, run=0)

    with Pace() as pace:
        waits = latencies(front, books, times=15)

    assert median(waits) < pace.stretched(0.2)
    assert max(waits) < pace.stretched(5)


def test_another_process_looks_for_jobs_within_the_poll(
    start: Start, open_books: Callable[[str], Books], sqlite_url: str
) -> None:
    books = open_books(sqlite_url)
    start(sqlite_url, service="worker", poll=0.5)
    front = start(sqlite_url, run=0)

    with Pace() as pace:
        waits = latencies(front, books, times=10)

    assert median(waits) < pace.stretched(0.6)
    assert max(waits) < pace.stretched(2)
