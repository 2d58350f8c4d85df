"""`hung`: what probes are told, and what they take, while PostgreSQL does not answer."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from _jobs.common import Failed, percentile, table

from _health import CORES
from _health.client import Answer, Watch, ask, wave
from _health.peers import OURS, PEERS, POOL, Peer
from _health.service import Service
from support.postgres import PrivatePostgres, private_postgres

PROBES = 200
SIGTERM_SECONDS = 15


@dataclass(slots=True)
class Found:
    """What one service did."""

    waves: dict[str, list[list[Answer]]] = field(default_factory=dict)
    least: dict[str, list[list[Answer]]] = field(default_factory=dict)
    """What an ASGI application of five lines did, asked in turns with it."""
    pings: list[Answer] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    """Seconds of the server's processor time for a wave."""
    taken: int = 0
    connections: int = 0
    told_after: float | None = None
    recovered_after: float | None = None
    ended_after: list[float | None] = field(default_factory=list)
    failure: str = ""


def prove(*, short: bool) -> str:
    chosen = [peer for peer in PEERS if peer.name == OURS or not short] + PEERS[1:2] * short
    with Service("peers.serve", "least", core=CORES[0]) as least:
        found = [(peer, _measure(peer, least.port, short=short)) for peer in chosen]
    return f"{_probes(found)}\n\n{_rest(found)}"


def _measure(peer: Peer, least: int, *, short: bool) -> Found:
    found = Found()
    try:
        with private_postgres() as database:
            with _serving(peer, database) as service:
                with _hanging(peer, service, database, found, deadline=5 if short else 30):
                    for path in peer.paths:
                        _send_waves(service, least, path, found, deadline=5 if short else 30)
                found.ended_after.append(_end(peer, service, database, requests=0))
            with _serving(peer, database) as service:
                found.ended_after.append(_end(peer, service, database, requests=POOL))
    except (Failed, ImportError) as error:
        found.failure = str(error)
    return found


@contextlib.contextmanager
def _serving(peer: Peer, database: PrivatePostgres) -> Iterator[Service]:
    with Service("peers.serve", peer.name, core=CORES[0], BENCH_URL=database.url) as service:
        try:
            wait_until_well(peer, service, seconds=20)
            # All connections of the pool are open, as after a minute of traffic.
            wave(service.port, ["/query?seconds=0.2"] * POOL, deadline=10)
            time.sleep(1)  # until they are given back, which is after the answer
            yield service
        finally:
            database.resume()


@contextlib.contextmanager
def _hanging(
    peer: Peer, service: Service, database: PrivatePostgres, found: Found, *, deadline: float
) -> Iterator[None]:
    """Let the database hang, and note everything but the probes themselves."""
    database.pause()
    with Watch(service.port) as watch, _telling(peer, service, found, deadline):
        time.sleep(0.25)
        with _counting(database, found):
            yield
        # Its 503 may come later than the answers of those that ask nothing.
        time.sleep(3)
    found.pings, found.taken = watch.pings, watch.taken
    database.resume()
    found.recovered_after = wait_until_well(peer, service, seconds=60)


def _send_waves(service: Service, least: int, path: str, found: Found, *, deadline: float) -> None:
    """Ask with all probes at once; again and again where they are answered at once."""
    waves, floor = found.waves.setdefault(path, []), found.least.setdefault(path, [])
    end, costs = time.perf_counter() + 10, []
    while time.perf_counter() < end and len(waves) < 20:
        before = service.cpu_seconds()
        waves.append(wave(service.port, [path] * PROBES, deadline=deadline))
        costs.append(service.cpu_seconds() - before)
        floor.append(wave(least, [path] * PROBES, deadline=deadline))
        time.sleep(0.1)
    found.cpu[path] = statistics.median(costs)


@contextlib.contextmanager
def _telling(peer: Peer, service: Service, found: Found, deadline: float) -> Iterator[None]:
    """Note when a probe that is asked ten times a second says first that something is wrong."""
    over, began = threading.Event(), time.perf_counter()

    def look() -> None:
        while not over.wait(0.1) and time.perf_counter() - began < deadline:
            answer, _ = ask(service.port, peer.paths[0], deadline=deadline)
            if answer.status >= 400:
                found.told_after = time.perf_counter() - began
                return

    thread = threading.Thread(target=look)
    thread.start()
    yield
    over.set()
    thread.join()


@contextlib.contextmanager
def _counting(database: PrivatePostgres, found: Found) -> Iterator[None]:
    """Count the connections to the database, its own ends left out."""
    port, over = urlsplit(database.url).port or 5432, threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            found.connections = max(found.connections, _connections_to(port))

    thread = threading.Thread(target=look)
    thread.start()
    yield
    over.set()
    thread.join()


def _connections_to(port: int) -> int:
    # "remote address, state": established. There are thousands of lines: nothing is parsed,
    # since the client that waits for answers has to wait for this.
    return Path("/proc/net/tcp").read_text().count(f":{port:04X} 01 ")


def wait_until_well(peer: Peer, service: Service, *, seconds: float) -> float | None:
    """Return after how many seconds its first path said that all is well."""
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        answer, _ = ask(service.port, peer.paths[0], deadline=1)
        if answer.ok:
            return now + answer.seconds
        time.sleep(0.05)
    return None


def _end(peer: Peer, service: Service, database: PrivatePostgres, *, requests: int) -> float | None:
    """Let it hang with probes under way that gave up after a second, and end it then."""
    database.pause()
    paths = [peer.paths[0]] * 20 + ["/query"] * requests
    wave(service.port, paths, deadline=1)
    ended = service.end(within=SIGTERM_SECONDS)
    database.resume()
    return ended


# --- the tables -------------------------------------------------------------------------


def _probes(found: list[tuple[Peer, Found]]) -> str:
    head = [
        "service",
        "probe",
        "p50 ms",
        "p99 ms",
        "of the least",
        "p99 of the median wave",
        "of the least",
        "of ours",
        "CPU ms of a wave",
        "not answered within 30 s",
    ]
    ours = _median_p99(next(iter(found[0][1].waves.values()), []))
    rows = []
    for peer, one in found:
        if one.failure:
            rows.append([peer.name, f"not measured: {one.failure}", *["-"] * 8])
            continue
        rows += [[peer.name, f"`{path}`", *_times(one, path, ours)] for path in one.waves]
    return table(head, rows)


def _times(one: Found, path: str, ours: float) -> list[str]:
    waves, least = one.waves[path], one.least[path]
    answers = [answer for wave in waves for answer in wave]
    lost = sum(answer.status == 0 for answer in answers)
    return [
        _ms(percentile((answer.seconds for answer in answers), 0.5)),
        _ms(_p99(answers)),
        _ms(_p99([answer for wave in least for answer in wave])),
        _ms(_median_p99(waves)),
        _ms(_median_p99(least)),
        f"{_median_p99(waves) / ours:.1f}",
        _ms(one.cpu[path]),
        f"{lost} of {len(answers)}",
    ]


def _rest(found: list[tuple[Peer, Found]]) -> str:
    head = [
        "service",
        f"connections of the request pool taken, of {POOL}",
        "connections to PostgreSQL",
        "`/ping` p99 ms",
        "says 503 after s",
        "well again after s",
        "SIGTERM ends it after s",
        f"with {POOL} requests that wait",
    ]
    rows = [_rest_row(peer, one) for peer, one in found if not one.failure]
    return table(head, rows)


def _rest_row(peer: Peer, one: Found) -> list[str]:
    lost = sum(not ping.ok for ping in one.pings)
    pings = _ms(_p99(one.pings)) + (f", {lost} of {len(one.pings)} lost" if lost else "")
    return [
        peer.name,
        str(one.taken),
        str(one.connections),
        pings,
        _seconds(one.told_after, "never"),
        _seconds(one.recovered_after, "not within 60"),
        *(_seconds(ended, f"not within {SIGTERM_SECONDS}") for ended in one.ended_after),
    ]


def _p99(answers: list[Answer]) -> float:
    return percentile((answer.seconds for answer in answers), 0.99)


def _median_p99(waves: list[list[Answer]]) -> float:
    """Return the p99 of a wave, in the middle of all: a neighbour on the machine hits some."""
    return statistics.median(map(_p99, waves)) if waves else 1.0


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.1f}"
