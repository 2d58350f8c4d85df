"""Measure `roadworthy.events` beside Redis pub/sub with sse-starlette.

`python benchmarks/events.py` has four parts: `idle` is what listeners cost while nothing
happens, `delivery` how long an event takes from the request that publishes it to those who
listen, `restart` what a `kill -9` loses, and `price` what a publish costs whoever writes. Both
services are uvicorn with one worker; the client is another process on the same machine, and
all of it is on 127.0.0.1. PostgreSQL and Redis have to run: PG_URL and REDIS_URL name them.
`--short` takes small numbers and writes nothing.
"""

import asyncio
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import _report
import httpx
import psycopg
from _events.listening import Listener, Server, listen

RESULTS = Path(__file__).parent / "results" / "events.md"
PG_URL = os.environ.get("PG_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9")
NAMES = {"ours": "`roadworthy.events`, PostgreSQL", "redis": "sse-starlette, Redis pub/sub"}


async def idle(env: dict[str, str], *, short: bool) -> str:
    """## `idle`: listeners while nothing happens

    Memory is what the process has for itself, more than without listeners, for each of them.
    """
    number, seconds = (50, 3) if short else (1000, 20)
    lines = [f"| {number:,} listeners | KiB each | processor ms a second | connections |"]
    lines += ["|---|---|---|---|"]
    for name, title in NAMES.items():
        server = Server(name, env)
        await _warm(server)
        before, connected = server.kib, _connections(env, name)
        _, tasks = await listen(server.port, number)
        await asyncio.sleep(3 if short else 15)
        began, cpu = time.monotonic(), server.cpu
        await asyncio.sleep(seconds)
        share = (server.cpu - cpu) / (time.monotonic() - began) * 1000
        each = (server.kib - before) / number
        more = _connections(env, name) - connected
        lines.append(f"| {title} | {each:.1f} | {share:.1f} | {more} |")
        await _end(server, tasks)
    return "\n".join(lines)


async def delivery(env: dict[str, str], *, short: bool) -> str:
    """## `delivery`: from the request that publishes to the last of those who listen

    Twenty events a second; each listener counts for each. With a thousand, most of it is what the
    two processes take to write and to read a thousand sockets.
    """
    numbers, events = ([1, 20], 20) if short else ([1, 100, 1000], 60)
    lines = ["| | " + " | ".join(f"{n:,}: median, p99 ms" for n in numbers) + " |"]
    lines += ["|---|" + "---|" * len(numbers)]
    for name, title in NAMES.items():
        cells = list[str]()
        for number in numbers:
            server = Server(name, env)
            await _warm(server)
            listeners, tasks = await listen(server.port, number)
            await asyncio.sleep(1)
            async with httpx.AsyncClient(timeout=30) as client:
                for _ in range(events):
                    await server.publish(client, time.monotonic())
                    await asyncio.sleep(0.05)
            await _until(lambda found=listeners: all(len(one.told) >= events for one in found))
            took = sorted(at - sent for one in listeners for at, sent in one.told)
            p99 = took[int(len(took) * 0.99)]
            cells.append(f"{statistics.median(took) * 1000:.1f}, {p99 * 1000:.1f}")
            await _end(server, tasks)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


async def restart(env: dict[str, str], *, short: bool) -> str:
    """## `restart`: what a `kill -9` of the server of the listeners loses

    Another server goes on publishing, 20 a second. Clients come back after 0.2 s, with the id of
    the last event where they have one.
    """
    kills, number = (1, 5) if short else (5, 50)
    lines = [
        "| | events | missed by a listener, mean | twice | in order |",
        "|---|---|---|---|---|",
    ]
    for name, title in NAMES.items():
        server, writer = Server(name, env), Server(name, env)
        listeners = [Listener() for _ in range(number)]
        tasks = [asyncio.create_task(one.keep_on(server.port)) for one in listeners]
        await asyncio.gather(*(one.opened.wait() for one in listeners))
        await asyncio.sleep(1)
        sent = 0
        async with httpx.AsyncClient(timeout=30) as client:
            for _ in range(kills):
                server.stop(signal.SIGKILL)
                again = asyncio.create_task(asyncio.to_thread(Server, name, env, port=server.port))
                while not again.done():
                    await writer.publish(client, sent)
                    sent += 1
                    await asyncio.sleep(0.05)
                server = again.result()
                for _ in range(40):
                    await writer.publish(client, sent)
                    sent += 1
                    await asyncio.sleep(0.05)
        await asyncio.sleep(3)
        missed = [sent - len({data for _, data in one.told}) for one in listeners]
        twice = sum(len(one.told) - len({data for _, data in one.told}) for one in listeners)
        ordered = all(
            [d for _, d in one.told] == sorted(d for _, d in one.told) for one in listeners
        )
        mean = statistics.mean(missed)
        lines.append(f"| {title} | {sent} | {mean:.1f} | {twice} | {'yes' if ordered else 'no'} |")
        await _end(server, tasks)
        writer.stop()
    return "\n".join(lines)


async def price(env: dict[str, str], *, short: bool) -> str:
    """## `price`: what a publish costs whoever writes, and what the order costs

    A transaction that updates one row, with and without a publish, in turns on one connection; and
    the positions of a thousand events, which no writer waits for.
    """
    from sqlalchemy import text

    from roadworthy import events
    from roadworthy.database import Database
    from roadworthy.events.ordering import give_positions

    times = 50 if short else 500
    took: dict[bool, list[float]] = {False: [], True: []}
    async with Database(env["URL"]) as db:
        async with db.begin() as tx:
            await tx.execute(text("CREATE TABLE IF NOT EXISTS counted (n bigint)"))
            await tx.execute(text("INSERT INTO counted VALUES (0)"))
        for number in range(2 * times):
            publishes = number % 2 == 1
            began = time.monotonic()
            async with db.begin() as tx:
                await tx.execute(text("UPDATE counted SET n = n + 1"))
                if publishes:
                    await events.publish(tx, "price", {"number": number})
            took[publishes].append(time.monotonic() - began)
        fill = text(
            "INSERT INTO roadworthy_events (topic, data, at) "
            "SELECT 'price', '{}', now() FROM generate_series(1, 1000)"
        )
        rounds = list[float]()
        for _ in range(5):
            async with db.begin() as tx:
                await tx.execute(fill)
            async with db.engine.connect() as plain:
                connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
                began = time.monotonic()
                given, _ = await give_positions(connection)
                rounds.append((time.monotonic() - began) / max(given, 1))
    without, published = (statistics.median(took[which]) * 1000 for which in (False, True))
    ratio = published / without
    each = statistics.median(rounds) * 1_000_000
    return "\n".join(
        [
            "| transaction, median ms | with a publish | ratio | position of one event, µs |",
            "|---|---|---|---|",
            f"| {without:.2f} | {published:.2f} | {ratio:.2f} | {each:.0f} |",
        ]
    )


PARTS: dict[str, Callable[..., Awaitable[str]]] = {
    "idle": idle,
    "delivery": delivery,
    "restart": restart,
    "price": price,
}


async def _warm(server: Server) -> None:
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(20):
            await server.publish(client, 0)
    listeners, tasks = await listen(server.port, 5)
    del listeners
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0.5)


async def _end(server: Server, tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.to_thread(server.stop)


async def _until(question: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not question() and time.monotonic() < end:  # noqa: ASYNC110 - it asks many of them
        await asyncio.sleep(0.1)


def _connections(env: dict[str, str], name: str) -> int:
    if name == "redis":
        from redis import Redis

        with Redis.from_url(env["REDIS_URL"]) as client:
            return int(client.info("clients")["connected_clients"])
    with psycopg.connect(PG_URL, autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        row = connection.execute(query, [env["URL"].rpartition("/")[2]]).fetchone()
        return int(row[0]) if row else 0


async def _main() -> None:
    chosen = _report.parser(__doc__, PARTS).parse_args()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    sections = dict[str, str]()
    database = f"roadworthy_bench_events_{os.getpid()}"
    with psycopg.connect(PG_URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = f"{PG_URL.rpartition('/')[0]}/{database}"
            env = {"URL": url, "REDIS_URL": REDIS_URL, "FOLDER": folder}
            await _make_tables(url)
            for name in chosen.part or PARTS:
                load = os.getloadavg()[0]
                text = await PARTS[name](env, short=chosen.short)
                head = "\n".join(line.strip() for line in (PARTS[name].__doc__ or "").splitlines())
                note = f"Load of the machine before: {load:.1f} on {os.cpu_count()} cores."
                sections[name] = f"{head.strip()}\n\n{text}\n\n{note}\n"
                print(sections[name], flush=True)
    finally:
        with psycopg.connect(PG_URL, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
    if not chosen.short:
        _report.write(RESULTS, "Events", PARTS, sections)


async def _make_tables(url: str) -> None:
    from roadworthy import events
    from roadworthy.database import Database

    async with Database(url) as db, db.engine.begin() as connection:
        await connection.run_sync(events.metadata.create_all)


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
