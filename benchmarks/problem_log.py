"""Measure what keeping problems costs a request: `python benchmarks/problem_log.py`.

Two applications in one process, which differ in `problem_log.watch(app)` alone, are asked in
turns, batch by batch, with no socket between: so a noisy machine is noisy for both. The cost
is the median of the differences of neighbouring batches, in CPU time of the thread.

An error is kept, or it is one of those beyond the rate that are only counted. Writing rows is
apart from the responses, in batches twice a second; its cost is told for a row.
"""

import asyncio
import gc
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, Final

from fastapi import FastAPI

from roadworthy import problems
from roadworthy.database import Database
from roadworthy.problem_log import ProblemLog, metadata
from roadworthy.problems import Problem

RESULTS: Final = Path(__file__).parent / "results" / "problem_log.md"
BATCHES: Final = 150
REQUESTS: Final = 200
ROWS: Final = 2000


class OutOfStock(Problem):
    """There is nothing left."""

    status = 409
    title = "Out of stock"
    detail = "Nothing is left."


def app_with(log: ProblemLog | None) -> FastAPI:
    """Return the application that is asked."""
    app = FastAPI()
    problems.install(app)
    if log is not None:
        log.watch(app)

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.post("/orders/{order_id}")
    async def order(order_id: int) -> None:
        raise OutOfStock

    return app


def asking(app: FastAPI, method: str, path: str) -> Callable[[], Awaitable[None]]:
    """Return a function that asks an application once, as a server would."""
    headers = [(b"host", b"shop.test"), (b"accept", b"*/*"), (b"user-agent", b"bench")]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        return

    async def ask() -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("10.0.0.1", 1234),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await app(scope, receive, send)

    return ask


async def seconds_of(ask: Callable[[], Awaitable[None]]) -> float:
    """Return the CPU seconds of one request, measured over a batch."""
    began = thread_time()
    for _ in range(REQUESTS):
        await ask()
    return (thread_time() - began) / REQUESTS


async def difference(method: str, path: str, *, per_second: int, db: Database) -> tuple[float, ...]:
    """Return microseconds: of a request, of one more with the log, and 90 % below which that is."""
    log = ProblemLog(db, per_second=per_second)
    without, with_log = (asking(app_with(one), method, path) for one in (None, log))
    for ask in (without, with_log):
        await seconds_of(ask)
    pairs: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    for batch in range(BATCHES):
        order = (without, with_log) if batch % 2 else (with_log, without)
        measured = {ask: await seconds_of(ask) for ask in order}
        pairs.append((measured[without], measured[with_log]))
        log._waiting.clear()  # noqa: SLF001 - what the writer would do meanwhile
        log._tally.take()  # noqa: SLF001
    gc.enable()
    differences = sorted((more - less) * 1e6 for less, more in pairs)
    base = statistics.median(less for less, _ in pairs) * 1e6
    return base, statistics.median(differences), differences[len(differences) * 9 // 10]


async def writing(db: Database) -> float:
    """Return the microseconds that writing takes for a row, behind the responses."""
    log = ProblemLog(db, per_second=10**9)
    ask = asking(app_with(log), "POST", "/orders/7")
    for _ in range(ROWS):
        await ask()
    began = perf_counter()
    await log._write(60)  # noqa: SLF001
    return (perf_counter() - began) / ROWS * 1e6


async def measure() -> str:
    """Return the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with Database(f"sqlite:///{folder}/log.db") as db:
            async with db.engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
            lines = [
                "| request | without, µs | more with the log, µs (median) | 9 of 10 below, µs |",
                "|---|---|---|---|",
            ]
            for name, *asked, per_second in (
                ("GET 200", "GET", "/items/7", 50),
                ("POST 409, kept", "POST", "/orders/7", 10**9),
                ("POST 409, counted", "POST", "/orders/7", 1),
                ("GET 404, kept", "GET", "/nowhere", 10**9),
            ):
                method, path = asked
                base, more, most = await difference(method, path, per_second=per_second, db=db)
                lines.append(f"| {name} | {base:.0f} | {more:.1f} | {most:.1f} |")
            row = await writing(db)
            lines += ["", f"Writing takes {row:.0f} µs a row (SQLite), behind the responses."]
    return "\n".join(lines)


if __name__ == "__main__":
    text = asyncio.run(measure())
    sys.stdout.write(f"{text}\n")
    head = "# What keeping problems costs\n\n`python benchmarks/problem_log.py`"
    RESULTS.write_text(f"{head}\n\n{text}\n")
