"""`busy`: what probes are told while requests use the whole pool, and the database is well."""

import contextlib
import threading
import time
from collections.abc import Iterator

from _jobs.common import Failed, percentile, table

from _health import CORES
from _health.client import Answer, wave
from _health.hung import wait_until_well
from _health.peers import PEERS, Peer
from _health.service import Service
from support.postgres import private_postgres

REQUESTS = 15
"""Three times what the pool has."""
PROBES = 50


def prove(*, short: bool) -> str:
    seconds = 2 if short else 8
    rows = []
    with private_postgres() as database:
        for peer in PEERS[:2] if short else PEERS:
            try:
                rows += _rows(peer, _measure(peer, database.url, seconds))
            except Failed as error:
                rows.append([peer.name, f"not measured: {error}", *["-"] * 4])
    head = ["service", "probe", "200", "200 within 1 s", "p50 ms", "p99 ms"]
    return table(head, rows)


def _measure(peer: Peer, url: str, seconds: float) -> dict[str, list[Answer]]:
    with Service("peers.serve", peer.name, core=CORES[0], BENCH_URL=url) as service:
        wait_until_well(peer, service, seconds=20)
        with _slow_requests(service.port, seconds):
            return {path: wave(service.port, [path] * PROBES, deadline=30) for path in peer.paths}


@contextlib.contextmanager
def _slow_requests(port: int, seconds: float) -> Iterator[None]:
    paths = [f"/query?seconds={seconds}"] * REQUESTS
    asking = threading.Thread(target=wave, args=(port, paths), kwargs={"deadline": 40})
    asking.start()
    time.sleep(2.5 if seconds > 5 else 0.5)  # ours asks the database twice meanwhile
    yield
    asking.join()


def _rows(peer: Peer, found: dict[str, list[Answer]]) -> list[list[str]]:
    return [[peer.name, f"`{path}`", *_cells(answers)] for path, answers in found.items()]


def _cells(answers: list[Answer]) -> list[str]:
    well = [answer.seconds for answer in answers if answer.ok]
    p50, p99 = (percentile((a.seconds for a in answers), share) for share in (0.5, 0.99))
    of = f" of {len(answers)}"
    return [
        f"{len(well)}{of}",
        f"{sum(seconds <= 1 for seconds in well)}{of}",
        f"{p50 * 1000:.1f}",
        f"{p99 * 1000:.1f}",
    ]
