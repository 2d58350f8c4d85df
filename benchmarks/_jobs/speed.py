"""What a job costs: to enqueue, until it starts, to run, and with a full table."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from _jobs import common, peers
from _jobs.common import Bench, Failed
from _jobs.peers import Peer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from roadworthy.database import Database

WHERE = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
IN_ONE = 20
"""Inserts of each kind in one transaction."""
LONGEST = 240
"""Seconds after which a slow machine runs each peer no more than once."""


def _each_database(
    bench: Bench, measure: Callable[[str], list[str]], width: int
) -> list[list[str]]:
    rows = []
    for kind, label in WHERE.items():
        try:
            if missing := peers.ours(kind).missing(bench):
                raise Failed(missing)
            cells = measure(kind)
        except Failed as failure:
            cells = [str(failure), *[""] * (width - 2)]
        rows.append([label, *cells])
    return rows


# --- enqueueing -----------------------------------------------------------------------


def enqueueing(bench: Bench, *, times: int) -> str:
    """Compare `enqueue` with one INSERT of a similar row, in turns in the same transactions."""

    def measure(kind: str) -> list[str]:
        with bench.database(kind) as url:
            found = bench.call("speed.time_enqueue", url, times)
        cells = [f"{found[f'{what}_{share}']:.3f}" for what in KINDS for share in ("p50", "p99")]
        ratios = [found[f"enqueue_{share}"] / found[f"core_{share}"] for share in ("p50", "p99")]
        return [*cells, *(f"{ratio:.2f}" for ratio in ratios)]

    head = [
        *("database", "INSERT p50 ms", "p99", "ORM add + flush p50", "p99"),
        *("enqueue p50 ms", "p99", "of the INSERT: p50", "p99"),
    ]
    return common.table(head, _each_database(bench, measure, len(head)))


KINDS = "core", "orm", "enqueue"


def time_enqueue(url: str, times: str) -> None:
    found = asyncio.run(_time_enqueue(url, int(times)))
    common.result(
        **{f"{kind}_p50": 1000 * common.percentile(found[kind], 0.5) for kind in KINDS},
        **{f"{kind}_p99": 1000 * common.percentile(found[kind], 0.99) for kind in KINDS},
    )


async def _time_enqueue(url: str, times: int) -> dict[str, list[float]]:
    from sqlalchemy import MetaData, insert, select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import DeclarativeBase

    from _jobs.peers import roadworthy as ours
    from roadworthy import jobs

    class Base(DeclarativeBase):
        pass

    # The same columns with a primary key, and none of the indexes.
    plain = jobs.table.to_metadata(Base.metadata, name="plain")
    plain.indexes.clear()

    class Plain(Base):
        __table__ = plain

    statement = insert(plain)

    async def core(tx: AsyncSession, n: int) -> None:
        await tx.execute(statement, _row(n))

    async def orm(tx: AsyncSession, n: int) -> None:
        tx.add(Plain(**_row(n)))
        await tx.flush()

    async def enqueue(tx: AsyncSession, n: int) -> None:
        await ours.noop.enqueue(tx, n=n)

    ways = {"core": core, "orm": orm, "enqueue": enqueue}
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with _opened(url, Base.metadata, MetaData()) as db:
        for round_ in range(times // IN_ONE + 5):
            async with db.begin() as tx:
                await tx.execute(select(1))
                for n in range(IN_ONE):
                    for kind in random.sample(KINDS, 3):
                        start = time.perf_counter()
                        await ways[kind](tx, n)
                        if round_ >= 5:  # Caches and statements are warm by then.
                            found[kind].append(time.perf_counter() - start)
    return found


def _row(n: int) -> dict[str, Any]:
    now = datetime.now(UTC)
    fixed = {"task": "noop", "version": 1, "queue": "default", "runs_on": "loop", "priority": 0}
    given = {"id": str(uuid4()), "arguments": f'{{"n":{n}}}', "state": "queued", "attempts": 0}
    times = dict.fromkeys(("turn_at", "enqueued_at", "run_at"), now)
    return fixed | given | times | {"cancel_requested": False, "request_id": None, "trace": None}


@asynccontextmanager
async def _opened(url: str, *tables: Any, run: bool = False) -> "AsyncIterator[Database]":
    from _jobs.peers import roadworthy as ours
    from roadworthy.database import Database
    from roadworthy.jobs import Jobs

    ours.create_tables(url)
    async with Database(url) as db:
        async with db.engine.begin() as connection:
            for metadata in tables:
                await connection.run_sync(metadata.create_all)
        async with Jobs(db, tasks=[ours.noop, ours.mark], run=run):
            yield db


# --- from commit to start -------------------------------------------------------------


def starting(bench: Bench, *, times: int) -> str:
    """Time a job from the commit that made it to its first line, in the serving process."""

    def measure(kind: str) -> list[str]:
        with bench.database(kind) as url:
            found = bench.call("speed.time_start", url, times)
        return [f"{found[name]:.2f}" for name in ("p50", "p99", "with_commit")]

    head = ["database", "p50 ms", "p99 ms", "p50 ms with the commit itself"]
    return common.table(head, _each_database(bench, measure, len(head)))


def time_start(url: str, times: str) -> None:
    after, before = asyncio.run(_time_start(url, int(times)))
    common.result(
        p50=1000 * common.percentile(after, 0.5),
        p99=1000 * common.percentile(after, 0.99),
        with_commit=1000 * common.percentile(before, 0.5),
    )


async def _time_start(url: str, times: int) -> tuple[list[float], list[float]]:
    from _jobs.peers import roadworthy as ours

    after, before = [], []
    async with _opened(url, run=True) as db:
        for n in range(times + 20):
            ours.started.append(asyncio.get_running_loop().create_future())
            async with db.begin() as tx:
                await ours.mark.enqueue(tx, n=n)
                last = time.perf_counter()
            committed = time.perf_counter()
            async with asyncio.timeout(10):
                began = await ours.started[n]
            if n >= 20:
                # It may start before we hear of our own commit.
                after.append(max(0, began - committed))
                before.append(began - last)
            await asyncio.sleep(random.uniform(0, 0.01))
    return after, before


# --- jobs per second ------------------------------------------------------------------


def throughput(bench: Bench, *, jobs: int, rounds: int, wanted: list[Peer]) -> str:
    """Run the same backlog with each peer in turns, and return the table."""
    runs: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in wanted}
    failures: dict[str, str] = {}
    end = time.monotonic() + LONGEST
    for _ in range(rounds):
        for peer in wanted:
            if peer.name not in failures and (time.monotonic() < end or not runs[peer.name]):
                try:
                    runs[peer.name].append(_work_off(bench, peer, jobs))
                except Failed as failure:
                    failures[peer.name] = str(failure)
    head = ["peer", "version", "jobs/s", "each run", "s to the first job", "MiB", "settings"]
    rows = [
        _throughput_row(peer, runs[peer.name], failures.get(peer.name), jobs) for peer in wanted
    ]
    return common.table(head, rows)


def _throughput_row(
    peer: Peer, runs: list[dict[str, float]], failure: str | None, jobs: int
) -> list[str]:
    first = [peer.name, peer.version() or ""]
    if failure:
        return [*first, failure, *[""] * 3, peer.settings]
    rates = [jobs / run["took"] for run in runs]
    return [
        *first,
        f"{statistics.median(rates):.0f}",
        " ".join(f"{rate:.0f}" for rate in rates),
        f"{statistics.median(run['waited'] for run in runs):.2f}",
        f"{statistics.median(run['rss'] for run in runs):.0f}",
        peer.settings,
    ]


def _work_off(bench: Bench, peer: Peer, jobs: int) -> dict[str, float]:
    if missing := peer.missing(bench):
        raise Failed(missing)
    with bench.database(peer.database) as url:
        try:
            bench.call(f"{peer.module}.fill", url, jobs, python=peer.python)
            return bench.call(f"{peer.module}.work", url, jobs, python=peer.python, **peer.options)
        finally:
            if peer.database == "redis":
                bench.call(f"{peer.module}.clean", url)


# --- a full table ---------------------------------------------------------------------

BACKLOGS = 0, 1_000, 100_000
TABLES = (0, 1_000), (999_000, 1_000), (0, 1_000_000)
"""Finished and queued rows."""


def memory(bench: Bench, *, seconds: float, backlogs: tuple[int, ...] = BACKLOGS) -> str:
    """Return the most memory that a worker has with each backlog, while it works it off."""

    def measure(kind: str) -> list[str]:
        cells = []
        for backlog in backlogs:
            with bench.database(kind) as url:
                bench.call("speed.fill_table", url, 0, backlog)
                found = bench.call("peers.roadworthy.hold", url, seconds)
            cells += [f"{found['rss']:.0f}"]
        return cells

    head = ["database", *(f"MiB, backlog of {backlog:,}" for backlog in backlogs)]
    return common.table(head, _each_database(bench, measure, len(head)))


def claiming(bench: Bench, *, times: int, tables: tuple[tuple[int, int], ...] = TABLES) -> str:
    """Time the claim of 50 jobs, with its commit, in tables of several sizes."""

    def measure(kind: str) -> list[str]:
        cells = []
        for finished, queued in tables:
            with bench.database(kind) as url:
                bench.call("speed.fill_table", url, finished, queued)
                found = bench.call("speed.time_claims", url, times)
            cells += [f"{found['p50']:.2f}", f"{found['p90']:.2f}"]
        return cells

    names = [f"{finished:,} finished, {queued:,} queued" for finished, queued in tables]
    head = ["database", *(part for name in names for part in (f"{name}: p50 ms", "p90 ms"))]
    return common.table(head, _each_database(bench, measure, len(head)))


def fill_table(url: str, finished: str, queued: str) -> None:
    """Add as many rows to the table of jobs, by one statement: copies of a real job."""
    like = asyncio.run(_one_job(url))
    total = int(finished) + int(queued)
    if total:
        common.script(url, _copies(url, like, int(finished), total))
    common.script(url, f"DELETE FROM roadworthy_jobs WHERE id = '{like}'")
    if url.startswith("postgresql"):
        # What autovacuum does within a minute of such a change.
        common.script(url, "VACUUM ANALYZE roadworthy_jobs")
    common.result()


async def _one_job(url: str) -> str:
    from _jobs.peers import roadworthy as ours

    async with _opened(url) as db, db.begin() as tx:
        return (await ours.noop.enqueue(tx, n=1)).id


def _copies(url: str, like: str, finished: int, total: int) -> str:
    from roadworthy import jobs

    names = [column.name for column in jobs.table.columns]
    new = {
        "id": f"{'printf' if url.startswith('sqlite') else 'format'}('%s-0000-7000', i)",
        "state": f"CASE WHEN i <= {finished} THEN 'succeeded' ELSE 'queued' END",
        "finished_at": f"CASE WHEN i <= {finished} THEN run_at END",
    }
    series = f"generate_series(1, {total}) AS n(i)"
    if url.startswith("sqlite"):
        counted = f"SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {total}"
        series = f"(WITH RECURSIVE c(i) AS ({counted}) SELECT i FROM c) AS n"
    return (
        f"INSERT INTO roadworthy_jobs ({', '.join(names)}) "
        f"SELECT {', '.join(new.get(name, name) for name in names)} "
        f"FROM roadworthy_jobs, {series} WHERE id = '{like}'"
    )


def time_claims(url: str, times: str) -> None:
    found = asyncio.run(_time_claims(url, int(times)))
    common.result(
        p50=1000 * common.percentile(found, 0.5), p90=1000 * common.percentile(found, 0.9)
    )


async def _time_claims(url: str, times: int) -> list[float]:
    from roadworthy.jobs.table.ledger import Ledger

    ledger = Ledger(worker="bench", lease=timedelta(seconds=15))

    async def claim(connection: "AsyncConnection") -> list[str]:
        claimed = await ledger.claim(connection, queue="default", runs_on="loop", limit=50)
        return [job.id for job in claimed]

    found = []
    async with _opened(url) as db:
        for n in range(times + 3):
            start = time.perf_counter()
            async with db.engine.begin() as connection:
                ids = await claim(connection)
            took = time.perf_counter() - start
            if len(ids) != 50:
                raise RuntimeError(f"claimed {len(ids)} jobs, not 50")
            if n >= 3:
                found.append(took)
            async with db.engine.begin() as connection:
                await ledger.release(connection, ids)
    return found
