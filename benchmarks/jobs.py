"""Prove what `roadworthy.jobs` promises: `python benchmarks/jobs.py`.

Eight parts, each with a table: `crash` kills a service under load again and again, and
counts what was lost and what happened twice; `enqueue`, `start`, `throughput` and `broker`
are about speed; `memory` and `claims` about a table that is full; `loop` about requests
while jobs compute. Peers run the same work, each in a process of its own and in turns,
with the settings that the tables name.

`--part crash` runs one of them (again, for several) and replaces its section in
results/jobs.md; `--short` takes small numbers, to see that all of it works, and writes
nothing. PostgreSQL is the server that PG_URL names, Redis that of REDIS_URL; by default,
those of this machine. OBAN_PYTHON names a Python 3.12 that has Oban.

`python benchmarks/jobs.py run FUNCTION WORDS` is what it runs as processes.
"""

import argparse
import asyncio
import importlib
import platform
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import _report
from _jobs import broker, common, crash, loop, peers, speed
from _jobs.common import Bench

RESULTS = Path(__file__).parent / "results" / "jobs.md"


def crashing(bench: Bench, short: bool) -> str:
    """## `crash`: nothing lost, nothing phantom

    An order is a row; its transaction enqueues two jobs: one appends a line to a file, the
    other inserts a row (a `tx` task, or what comes nearest). Of 20 requests 12 succeed, 2 raise
    and 2 are refused after enqueueing, 2 time out there, and 2 clients hang up. The server is
    killed with SIGKILL after 0.2 to 2 s of this, and started again. An effect is lost when
    its order was acknowledged (or: committed) and it is not there at the end; a phantom has
    no committed order. Two services run at a time, so read counts here and not speeds.
    """
    wanted = crash.PEERS[:2] + crash.PEERS[-1:] if short else crash.PEERS
    kills, peer_kills = (3, 2) if short else (20, 8)
    table = asyncio.run(crash.prove(bench, kills=kills, peer_kills=peer_kills, wanted=wanted))
    return f"{table}\n\n{crash.settings(wanted)}"


def enqueueing(bench: Bench, short: bool) -> str:
    """## `enqueue`: what it adds to a transaction

    Each transaction has 20 of each, in random order: one INSERT of a row with the same 25
    columns (its statement made once, no index but the primary key), the same row by the ORM,
    and `enqueue`. The commit is not in it. The goal was within 1.3 times.
    """
    return speed.enqueueing(bench, times=400 if short else 4000)


def starting(bench: Bench, short: bool) -> str:
    """## `start`: from the commit to the first line of the job

    In the process that enqueues, one job at a time. The goal was a median under 5 ms.
    """
    return speed.starting(bench, times=50 if short else 400)


def throughput(bench: Bench, short: bool) -> str:
    """## `throughput`: jobs per second in one worker process

    A backlog of `async def noop(n: int)` is worked off: from when the first job runs until
    the engine has noted the last as done. Runs alternate between the peers; the figure
    is the median. MiB are the most memory that the process had.
    """
    jobs, rounds = (300, 1) if short else (2000, 3)
    return f"{jobs} jobs.\n\n" + speed.throughput(
        bench, jobs=jobs, rounds=rounds, wanted=peers.SPEED
    )


def brokering(bench: Bench, short: bool) -> str:
    """## `broker`: workers of Celery and RQ, by doorbells and by themselves

    Two worker processes, on PostgreSQL: Celery's with prefork, late acknowledgement and
    publisher confirms, RQ's as `rq worker` is. The backlog is worked off from when the first
    job runs until the last is noted as done; without doorbells, until it has run. Then workers
    that are idle hear of orders, one every 5 ms: the handler inserts an order and enqueues, or
    commits it and calls `delay()`, which a crash in between or a broker without its data
    loses. The goal was 0.7 of the jobs per second of `delay()`.
    """
    jobs, orders, rounds = (300, 50, 1) if short else (2000, 400, 3)
    return f"{jobs} jobs, {orders} orders.\n\n" + broker.compare(
        bench, jobs=jobs, orders=orders, rounds=rounds
    )


def memory(bench: Bench, short: bool) -> str:
    """## `memory`: a worker with a backlog

    The most memory that a worker process has within 5 s from its start. The goal was: flat.
    """
    return speed.memory(bench, seconds=1 if short else 5)


def claims(bench: Bench, short: bool) -> str:
    """## `claims`: the time to claim 50 jobs

    One claim with its commit, and the jobs given back before the next. Rows are
    copies of one job, inserted by one statement; on PostgreSQL, VACUUM ANALYZE ran after it.
    The goal was: flat.
    """
    if short:
        return speed.claiming(bench, times=5, tables=((0, 1_000), (9_000, 1_000)))
    return speed.claiming(bench, times=60)


def looping(bench: Bench, short: bool) -> str:
    """## `loop`: an unrelated GET while jobs compute

    8 jobs of 2 s of processor time each, started by a request to the serving process; 200
    GETs a second on one connection from another process. A GET that had to wait for the one before
    counts that wait. On SQLite. The goal was under 3 times the idle p99.
    """
    if short:
        return loop.prove(bench, seconds=1, rounds=1, cpu=0.2)
    return loop.prove(bench, seconds=5, rounds=2)


Part = Callable[[Bench, bool], str]
PARTS: dict[str, Part] = {
    "crash": crashing,
    "enqueue": enqueueing,
    "start": starting,
    "throughput": throughput,
    "broker": brokering,
    "memory": memory,
    "claims": claims,
    "loop": looping,
}


# --- the report -----------------------------------------------------------------------


def main(chosen: list[str], *, short: bool) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with Bench() as bench:
        how = obtained(bench)
        for name in chosen:
            text = section(PARTS[name], bench, short, how)
            print(text, flush=True)
            if not short:
                _report.write(RESULTS, "Background jobs", PARTS, {name: text})
    print(f"All of it took {time.monotonic() - began:.0f} s.", file=sys.stderr)


def section(part: Part, bench: Bench, short: bool, how: str) -> str:
    head, _, text = (part.__doc__ or "").partition("\n")
    prose = "\n".join(line.strip() for line in text.strip().splitlines())
    return f"{head}\n\n{prose}\n\n{part(bench, short)}\n\n{how}\n"


def obtained(bench: Bench) -> str:
    server = "no PostgreSQL"
    if bench.has_postgresql:
        (row,) = common.query(common.PG_URL, "SHOW server_version")
        server = f"PostgreSQL {str(row[0]).split()[0]}"
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"Obtained on {day} with `python benchmarks/jobs.py`: {common.machine()}, "
        f"SQLite {sqlite3.sqlite_version}, {server}, on {platform.machine()}."
    )


def run(function: str, *words: str) -> None:
    """Run a function of `_jobs`: what `Bench.start` starts as a process of its own."""
    module, _, name = function.rpartition(".")
    getattr(importlib.import_module(f"_jobs.{module}"), name)(*words)


def command() -> argparse.Namespace:
    return _report.parser(__doc__, PARTS).parse_args()


if __name__ == "__main__":
    asked = command()
    if asked.words:
        run(*asked.words[1:])
    else:
        main(asked.part or list(PARTS), short=asked.short)
