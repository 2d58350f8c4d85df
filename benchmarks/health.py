"""Prove what `roadworthy.health` and `roadworthy.limits` promise: `python benchmarks/health.py`.

Four parts, each with its tables: `hung` is a PostgreSQL that does not answer, `busy` one that
is well while requests use the whole pool, `rolling` restarts two instances behind nginx under
load, and `cost` is what all of it takes of the processor.

Every service is a process of its own: uvicorn with httptools and uvloop, one worker, on
one core; the client is another process. PostgreSQL and nginx are started for it. As root, all
of them run at nice -10.

`--part hung` runs one of them (again, for several) and replaces its section in
results/health.md; `--short` takes small numbers, to see that all of it works, and writes
nothing. `python benchmarks/health.py run FUNCTION WORDS` is what it runs as processes.
"""

import argparse
import contextlib
import importlib
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import _report
from _jobs import common

RESULTS = Path(__file__).parent / "results" / "health.md"


def hanging(*, short: bool) -> str:
    """## `hung`: a database that does not answer

    A real PostgreSQL whose processes are stopped by SIGSTOP: connections stay open, new ones
    are taken by the kernel, and nobody answers. Every service has a pool of 5 connections for
    requests, all of them open. 200 connections each send a probe at the same moment, up to 20
    times where they are answered at once, and wait 30 s at most. In turns with them, the same
    goes to an ASGI application of five lines, *the least*: what the machine has for such a wave.
    The last of a wave waits for the processor time of all of it, whoever else uses the machine.
    Meanwhile `/ping`, which needs no database, is asked 40 times a second (one that had to wait
    for the one before counts that wait), and the service how many connections of its pool are lent.
    *Says 503 after* is when a probe that is asked all the time first does, from SIGSTOP on;
    *well again after*, when one that gives up after a second is answered 2xx, from SIGCONT on.
    SIGTERM comes while it hangs, after 20 probes that gave up after a second; in the last column
    5 requests that need the database had come with them, too.

    Ours has `Health(drain=2 s)`, which is part of the seconds until it ends,
    `health.add("database", db.ping, interval=1 s, timeout=1 s)`, and `limits.install(time=10 s)`.
    The goals were 50 ms at p99 for each probe, no connection of the request pool, well again
    after two intervals (2 s), and an end within 15 s.
    """
    from _health import hung

    return hung.prove(short=short)


def crowding(*, short: bool) -> str:
    """## `busy`: a pool that requests use up, and a database that is well

    15 requests run a statement of 8 s each on the pool of 5, then 50 probes come at once. The
    truth is that the database is well: who says otherwise, or does not say it within
    the second that Kubernetes waits by default, is taken out or restarted for having work.
    """
    from _health import busy

    return busy.prove(short=short)


def rolling_on(*, short: bool) -> str:
    """## `rolling`: two instances restarted under load

    Two instances of one application behind a real nginx, which keeps connections to them open,
    for four seconds where they are idle, and finds out by itself whom it cannot reach
    (`max_fails=1 fail_timeout=10s`). 200 requests a second, each on a new connection to nginx,
    are GETs (10 ms) and POSTs (30 ms) in turns; both instances are restarted, one after the
    other, twice. A script does what an orchestrator would: it asks each instance every 200 ms
    (ours `/readyz`, the others `/ping`, which tells of them that they are gone), writes the
    list of nginx and reloads it.

    By default nginx sends on to the other instance what it could not deliver, POSTs only as
    long as no byte of them was sent. With `proxy_next_upstream off` it sends nothing on, as
    balancers of connections do, kube-proxy for one. In the last row of each, the orchestrator
    takes an instance out of the list, waits, and sends SIGTERM then: what a `preStop` hook that
    sleeps does. Failed are statuses from 400 on, and connections without an answer. Two runs
    each. The goal was 0.
    """
    from _health import rolling

    return rolling.prove(short=short)


def costing(*, short: bool) -> str:
    """## `cost`: what it takes of the processor

    Microseconds of the server's processor time, all its threads, for a GET that answers a small
    model and a POST that takes and answers one, on 8 connections that are kept open. All services
    run at once on one core and are asked in turns; *above bare* is the median, and the
    middle half, of the differences within a round of 400 requests. Probes are asked while
    PostgreSQL is well; what they cost PostgreSQL is not in it. *Idle* is while nobody asks: checks
    each second, and the watchdog of the event loop. uvicorn itself wakes ten times a second.
    """
    from _health import cost

    return cost.prove(short=short)


Part = Callable[..., str]
PARTS: dict[str, Part] = {
    "hung": hanging,
    "busy": crowding,
    "rolling": rolling_on,
    "cost": costing,
}


# --- the report -----------------------------------------------------------------------


def main(chosen: list[str], *, short: bool) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    # Whoever else uses the machine is in the way of latencies; what is started inherits this.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
        Path("/proc/self/autogroup").write_text("-10")  # between sessions, it is this that counts
    for name in chosen:
        text = section(PARTS[name], short=short)
        print(text, flush=True)
        if not short:
            _report.write(RESULTS, "Health", PARTS, {name: text})
    print(f"All of it took {time.monotonic() - began:.0f} s.", file=sys.stderr)


def section(part: Part, *, short: bool) -> str:
    head, _, text = (part.__doc__ or "").partition("\n")
    prose = "\n".join(line.strip() for line in text.strip().splitlines())
    return "\n\n".join(filter(None, (head, prose, part(short=short), obtained()))) + "\n"


def obtained() -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    names = ("uvicorn", "fastapi", "fastapi-health", "fastapi-healthchecks", "fast-healthchecks")
    versions = ", ".join(f"{name} {common.version(name) or 'missing'}" for name in names)
    return (
        f"Obtained on {day} with `python benchmarks/health.py`: {common.machine()}, "
        f"{versions}, on {platform.machine()}."
    )


def run_as_process(function: str, *words: str) -> None:
    module, _, name = function.rpartition(".")
    getattr(importlib.import_module(f"_health.{module}"), name)(*words)


def command() -> argparse.Namespace:
    return _report.parser(__doc__, PARTS).parse_args()


if __name__ == "__main__":
    asked = command()
    if asked.words:
        run_as_process(*asked.words[1:])
    else:
        main(asked.part or list(PARTS), short=asked.short)
