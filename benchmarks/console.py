"""Measure the console's pages on a full table: `python benchmarks/console.py`.

A million jobs and a hundred thousand problems are put into SQLite and PostgreSQL by statements
of their own, once spread over the states, once all dead, once all queued, and once with a
hundred thousand dead below as many done ones as fill the rest. Each page is then asked for in
turns, as ASGI in this process, with a connection of its own as always, and so is each action;
the table has the median and the worst. The goal is less than 100 ms for every page.

`--short` takes ten thousand jobs and writes nothing. PostgreSQL is the server that PG_URL names.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
from _console.filling import SETTINGS, fill
from fastapi import FastAPI
from starlette.requests import Request

from roadworthy import problems
from roadworthy.console import EVERY_ACTION, Viewer, console
from roadworthy.database import Database
from roadworthy.health import Health
from roadworthy.jobs import Jobs, task
from roadworthy.jobs import table as jobs
from roadworthy.lifespan import lifespan
from roadworthy.problem_log import ProblemLog

RESULTS = Path(__file__).parent / "results" / "console.md"
PG_URL = os.environ.get("PG_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
GOAL = 100.0
"""Milliseconds."""


@task(name="shop.rare")
async def rare(order_id: str) -> None: ...


def pages(now: datetime) -> dict[str, str]:
    """Return the paths that are asked for, by what they show."""
    after, before = now - timedelta(days=3, hours=2), now - timedelta(days=3)
    times = f"after={after:%Y-%m-%dT%H:%M}&before={before:%Y-%m-%dT%H:%M}"
    return {
        "now": "",
        "jobs": "/jobs",
        "jobs: dead": "/jobs?state=dead",
        "jobs: queued": "/jobs?state=queued",
        "jobs: cancelled": "/jobs?state=cancelled",
        "jobs: retrying": "/jobs?state=retrying",
        "jobs: of a rare task": "/jobs?task=shop.rare",
        "jobs: dead, of a rare task": "/jobs?state=dead&task=shop.rare",
        "jobs: dead, of a task, two hours of three days ago": (
            f"/jobs?state=dead&task=shop.tasks.number_3&{times}"
        ),
        "jobs: of a queue": "/jobs?queue=mail",
        "jobs: with a text that none has": "/jobs?text=no-such-text",
        "jobs: dead, with a text that none has": "/jobs?state=dead&text=no-such-text",
        "jobs: of a request": "/jobs?request_id={request}",
        "jobs: far back": "/jobs?older={older}",
        "one job": "/jobs/{job}",
        "dead": "/dead",
        "dead: of a task and a code": "/dead?task=shop.tasks.number_3&error_code=CODE_3",
        "schedules": "/schedules",
        "queues": "/queues",
        "workers": "/workers",
        "problems": "/problems",
        "problems: of a week": "/problems?since=7d",
        "problems: of a code that none has": "/problems?since=7d&code=NO_SUCH_CODE",
        "problems: of a request": "/problems/request?id={request}",
        "writes: of a week": "/writes?since=7d",
        "checks": "/checks",
    }


def app_on(url: str) -> FastAPI:
    db = Database(url)
    health = Health(version="1")
    health.add("database", db.ping)
    parts = (db, Jobs(db, tasks=[rare], run=False), ProblemLog(db), health)
    app = FastAPI(lifespan=lifespan(*parts))
    problems.install(app)
    app.include_router(console(access=everybody), prefix="/ops")
    return app


def everybody(request: Request) -> Viewer:
    return Viewer("bench", actions=EVERY_ACTION)


async def measure(url: str, rounds: int) -> dict[str, list[float]]:
    """Ask for every page so many times, in turns; return the milliseconds."""
    app, places = app_on(url), some_ids(url)
    asked = {name: path.format(**places) for name, path in pages(datetime.now(UTC)).items()}
    times: dict[str, list[float]] = {name: [] for name in asked}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://bench", headers={"accept": "text/html"}
        ) as client,
    ):
        for number in range(rounds + 1):
            for name, path in asked.items():
                began = time.perf_counter()
                answer = await client.get(f"/ops{path}")
                if answer.status_code == httpx.codes.NOT_FOUND:
                    times.pop(name, None)
                    continue
                answer.raise_for_status()
                if number:  # the first time, templates and statements are made
                    times[name].append(1000 * (time.perf_counter() - began))
    return times


def some_ids(url: str) -> dict[str, str]:
    engine = sa.create_engine(sync(url))
    by_id = sa.select(jobs.c.id, jobs.c.request_id).order_by(jobs.c.id.desc())
    with engine.connect() as connection:
        newest = connection.execute(by_id.where(jobs.c.request_id.is_not(None)).limit(1)).one()
        many = connection.scalar(sa.select(sa.func.count()).select_from(jobs)) or 0
        older = connection.execute(by_id.offset(many * 9 // 10).limit(1)).one()
    engine.dispose()
    return {"job": newest.id, "request": newest.request_id, "older": older.id}


def sync(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@contextlib.contextmanager
def places(folder: str) -> Iterator[dict[str, str]]:
    """Lend an empty database of each kind; the one of PostgreSQL is dropped afterwards."""
    found = {"SQLite": f"sqlite:///{folder}/console.db"}
    server = sa.create_engine(sync(PG_URL), isolation_level="AUTOCOMMIT")
    name = f"rw_console_{os.getpid()}"
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except sa.exc.OperationalError:
        print("PostgreSQL is not measured: PG_URL names no server that answers.")
        yield found
        return
    try:
        yield found | {"PostgreSQL": f"{PG_URL.rpartition('/')[0]}/{name}"}
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.dispose()


def table(measured: dict[str, dict[str, list[float]]]) -> str:
    """Return the median and the worst of each page, by database."""
    heads = [f"{place}: median ms | worst" for place in measured]
    lines = [f"| page | {' | '.join(heads)} |", f"|---{'|--:|--:' * len(measured)}|"]
    for name in next(iter(measured.values())):
        cells = [
            f"{statistics.median(times[name]):.0f} | {max(times[name]):.0f}"
            for times in measured.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="take small numbers, write nothing")
    parser.add_argument("--rounds", type=int, default=9, help="how often each page is asked for")
    chosen = parser.parse_args()
    many = 10_000 if chosen.short else 1_000_000
    sections = [f"# The console's pages\n\n{many:,} jobs, {many // 10:,} problems."]
    with tempfile.TemporaryDirectory() as folder, places(folder) as found:
        for setting in SETTINGS:
            measured = {}
            for place, url in found.items():
                fill(sync(url), setting, many=many, problems=many // 10)
                measured[place] = asyncio.run(measure(url, chosen.rounds))
            sections.append(f"## Jobs {setting.name}\n\n{table(measured)}")
            print(sections[-1], flush=True)
    if not chosen.short:
        RESULTS.write_text("\n\n".join(sections) + "\n")


if __name__ == "__main__":
    main()
