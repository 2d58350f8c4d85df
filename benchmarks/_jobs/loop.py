"""The loop: an unrelated GET, while CPU jobs run in the same serving process."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from socket import create_connection, socket

from _jobs import common
from _jobs.common import Bench, Failed

JOBS, CPU_SECONDS = 8, 2.0
RATE = 200
HEAD = [
    *("8 CPU jobs of 2 s, in", "idle p50 ms", "idle p99 ms", "p50 ms with the jobs", "p99 ms"),
    *("of the idle p99", "slowest ms", "GETs", "s until all had run"),
]
PEERS = {
    '**roadworthy.jobs**, `runs_on="cpu"`': "peers.roadworthy.spin",
    "BackgroundTasks, `def`": "peers.background.spin",
}


def prove(bench: Bench, *, seconds: float, rounds: int, cpu: float = CPU_SECONDS) -> str:
    """Ask for as many seconds idle, then until the jobs are done, in turns."""
    runs: dict[str, list[Run]] = {label: [] for label in PEERS}
    failures: dict[str, str] = {}
    for _ in range(rounds):
        for label, serve in PEERS.items():
            try:
                runs[label].append(_measure(bench, serve, seconds, cpu))
            except (Failed, OSError) as failure:
                failures[label] = str(failure) or type(failure).__name__
    return common.table(HEAD, [_row(label, runs[label], failures.get(label)) for label in PEERS])


Run = tuple[list[float], list[float], float]


def _row(label: str, runs: list[Run], failure: str | None) -> list[str]:
    if failure:
        return [label, failure, *[""] * (len(HEAD) - 2)]

    def middle(part: int, share: float) -> float:
        return 1000 * statistics.median(common.percentile(run[part], share) for run in runs)

    idle, busy = middle(0, 0.99), middle(1, 0.99)
    figures = [
        *(f"{middle(0, 0.5):.2f}", f"{idle:.2f}", f"{middle(1, 0.5):.2f}", f"{busy:.2f}"),
        *(f"{busy / idle:.1f}", f"{middle(1, 1.0):.0f}", str(sum(len(run[1]) for run in runs))),
        f"{statistics.median(run[2] for run in runs):.1f}",
    ]
    return [label, *figures]


def _measure(bench: Bench, serve: str, seconds: float, cpu: float) -> Run:
    with bench.database("sqlite") as url:
        done, port = bench.file("burnt"), common.free_port()
        process = bench.start(serve, url, port, EFFECTS=str(done))
        try:
            if not common.listens(port, process, 30):
                raise Failed("the server did not start")
            return _ask(create_connection(("127.0.0.1", port), 30), done, seconds, cpu)
        finally:
            bench.kill(process)


def _ask(connection: socket, done: Path, seconds: float, cpu: float) -> Run:
    with connection:
        # A job of each, so that worker processes and threads are there before anything counts.
        _answer(connection, f"POST /burn/{JOBS}/0.01")
        _times(connection, lambda: _burnt(done) >= JOBS)
        idle_end = time.monotonic() + seconds
        idle = _times(connection, lambda: time.monotonic() > idle_end)
        start = time.monotonic()
        _answer(connection, f"POST /burn/{JOBS}/{cpu}")
        busy = _times(connection, lambda: _burnt(done) >= 2 * JOBS)
        return idle, busy, time.monotonic() - start


def _burnt(done: Path) -> int:
    return done.stat().st_size


def _times(connection: socket, enough: Callable[[], bool], most: float = 60) -> list[float]:
    """Ask at a steady rate; a request that had to wait for the one before it counts that wait."""
    times, due = [], time.perf_counter()
    end = time.monotonic() + most
    while not enough():
        if time.monotonic() > end:
            raise Failed(f"not done after {most:.0f} s")
        late = time.perf_counter() > due
        time.sleep(max(0, due - time.perf_counter()))
        start = due if late else time.perf_counter()
        _answer(connection, "GET /ping")
        times.append(time.perf_counter() - start)
        due += 1 / RATE
    return times


def _answer(connection: socket, request: str) -> None:
    connection.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        raise Failed(head.partition(b"\r\n")[0].decode())
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    while len(body) < length:
        body += connection.recv(65536)
