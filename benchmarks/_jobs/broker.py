"""Workers of Celery and RQ with doorbells, against the same workers without."""

import os
import statistics
from subprocess import Popen

from _jobs import common
from _jobs.common import Bench, Failed

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")
HOSTS = {
    "Celery on RabbitMQ": ("celery", AMQP_URL),
    "Celery on Redis": ("celery", common.REDIS_URL),
    "RQ": ("rq", common.REDIS_URL),
}
WAYS = {
    ("celery", "relayed"): "**enqueue**, `CeleryEngine`",
    ("celery", "plain"): "`delay()` after the commit",
    ("rq", "relayed"): "**enqueue**, `RqEngine`",
    ("rq", "plain"): "`Queue.enqueue()` after the commit",
}
HEAD = [
    *("workers", "way", "backlog, jobs/s", "each run"),
    *("handler p50 ms", "p99 ms", "from there to the start p50 ms", "p99 ms"),
]


def compare(bench: Bench, *, jobs: int, orders: int, rounds: int) -> str:
    """Return one row for each kind of workers and way."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for workers, on in HOSTS.items():
            for way in ("relayed", "plain"):
                run = _run(bench, way, on, jobs, orders)
                found.setdefault((workers, way), []).append(run)
    return common.table(HEAD, [_row(*key, runs) for key, runs in found.items()])


def _row(workers: str, way: str, runs: list[dict[str, float]]) -> list[str]:
    def middle(name: str, times: float = 1000) -> str:
        return f"{statistics.median(run[name] for run in runs) * times:.1f}"

    rates = [run["rate"] for run in runs]
    return [
        *(workers, WAYS[HOSTS[workers][0], way], f"{statistics.median(rates):.0f}"),
        " ".join(f"{rate:.0f}" for rate in rates),
        *(middle("handler"), middle("handler_99"), middle("start"), middle("start_99")),
    ]


def _run(bench: Bench, way: str, on: tuple[str, str], jobs: int, orders: int) -> dict[str, float]:
    bench.count += 1
    name = f"rw_bench_{os.getpid()}_{bench.count}"
    with bench.database("postgresql") as url:
        bench.call("peers.relayed.prepare", url)
        try:
            took = _work_off(bench, way, (*on, name, url), jobs)
            found = _place(bench, way, (*on, name, url), orders)
        finally:
            bench.call("peers.relayed.clean", *on, name)
    return {**found, "rate": jobs / took}


def _work_off(bench: Bench, way: str, place: tuple[str, ...], jobs: int) -> float:
    path = bench.file("times")
    filling = bench.start("peers.relayed.backlog", way, path, jobs, *place)
    _wait_for(filling, b"filled\n")
    worker = bench.start("peers.relayed.work", *place, path)
    try:
        written, _ = filling.communicate(timeout=120)
        return common.result_in(written)["took"]
    finally:
        bench.kill(filling)
        bench.kill(worker)


def _place(bench: Bench, way: str, place: tuple[str, ...], orders: int) -> dict[str, float]:
    path = bench.file("times")
    worker = bench.start("peers.relayed.work", *place, path)
    try:
        _wait_for(worker, b"ready\n")
        return bench.call("peers.relayed.place", way, path, orders, *place)
    finally:
        bench.kill(worker)


def _wait_for(process: Popen[bytes], line: bytes) -> None:
    for found in process.stdout or ():
        if found == line:
            return
    raise Failed("it ended before it was ready")
