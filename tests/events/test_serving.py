"""Streams of real servers: held connections, drains, crashes, several processes, a pooler."""

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from events.clients import WireClient
from events.shop import database
from roadworthy import events
from support.http import RawClient
from support.pgbouncer import pgbouncer
from support.polling import until, until_async
from support.server import Server

TESTS = Path(__file__).parent.parent

Start = Callable[..., Server]


@pytest.fixture
async def start(serve: Start, url: str) -> Start:
    """Serve the shop on the database of this test, as often as is asked."""
    async with database(url):
        pass

    def run(*, on: str = url, args: tuple[str, ...] = (), **env: str) -> Server:
        env = {"URL": on, "PYTHONPATH": str(TESTS), **env}
        return serve("events.shop:create_app", factory=True, args=args, env=env)

    return run


def publish(server: Server, data: object, *, way: str = "publish") -> None:
    if way == "publish":
        httpx.post(f"{server.url}/publish", json=data, timeout=30).raise_for_status()
    else:
        httpx.post(f"{server.url}/{way}", params={"data": data}, timeout=30).raise_for_status()


async def until_told(client: WireClient, number: int) -> list[Any]:
    await until_async(lambda: len(client.told) >= number)
    return [one.data for one in client.told]


def test_the_document_names_the_media_type_of_a_stream(start: Start):
    document = httpx.get(f"{start().url}/openapi.json").json()

    content = document["paths"]["/events"]["get"]["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream"]


async def test_what_one_process_publishes_the_other_tells_at_once(start: Start):
    one, two = start(), start()
    client = WireClient(lambda: [two.port], "/events")
    listens = asyncio.create_task(client.run())
    await until_async(lambda: client.last_id)
    began = time.monotonic()
    await asyncio.to_thread(publish, one, "from afar")
    await asyncio.to_thread(publish, one, "from a thread", way="publish-sync")
    assert await until_told(client, 2) == ["from afar", "from a thread"]
    assert time.monotonic() - began < 10
    listens.cancel()


async def test_a_drain_ends_a_stream_between_two_events_and_the_next_server_goes_on(start: Start):
    first, second = start(DRAIN="0.3"), start(DRAIN="0.3")
    ports = [first.port]
    client = WireClient(lambda: ports, "/events")
    listens = asyncio.create_task(client.run())
    await until_async(lambda: client.last_id)
    await asyncio.to_thread(publish, first, 1)
    await until_told(client, 1)
    first.send_signal(signal.SIGTERM)
    ports[:] = [second.port]
    for number in range(2, 20):
        await asyncio.to_thread(publish, second, number)

    assert await until_told(client, 19) == list(range(1, 20))
    assert await asyncio.to_thread(first.wait, 30) == 0
    assert client.connections == 2
    assert client.cut_within == 0
    assert 1000 <= (client.retry_ms or 0) <= 5000
    listens.cancel()


async def test_a_client_of_a_server_that_was_killed_goes_on_at_another_one(start: Start):
    first, second = start(), start()
    ports = [first.port]
    client = WireClient(lambda: ports, "/events")
    listens = asyncio.create_task(client.run())
    await until_async(lambda: client.last_id)
    await asyncio.to_thread(publish, first, 1)
    await until_told(client, 1)
    await asyncio.to_thread(publish, first, 2)
    first.send_signal(signal.SIGKILL)
    ports[:] = [second.port]
    await asyncio.to_thread(publish, second, 3)

    assert await until_told(client, 3) == [1, 2, 3]
    listens.cancel()


async def test_behind_a_pooler_events_are_looked_for(postgres_url: str, serve: Start):
    async with database(postgres_url):
        pass
    with pgbouncer(postgres_url) as through:
        env = {"URL": through, "POOLER": "1", "PYTHONPATH": str(TESTS)}
        one, two = (serve("events.shop:create_app", factory=True, env=env) for _ in range(2))
        client = WireClient(lambda: [two.port], "/events")
        listens = asyncio.create_task(client.run())
        await until_async(lambda: client.last_id)
        for number in range(5):
            await asyncio.to_thread(publish, one, number)
        assert await until_told(client, 5) == list(range(5))
        listens.cancel()


def test_more_listeners_than_requests_may_run_leave_room_for_requests(start: Start):
    server = start()  # of which 200 may run
    clients = [RawClient(server.port) for _ in range(230)]
    for client in clients:
        client.send("GET", "/events")
    until(lambda: httpx.get(f"{server.url}/listeners", timeout=30).text, lambda told: told == "230")
    # The one look of the process may be under way.
    until(lambda: httpx.get(f"{server.url}/held", timeout=30).text, lambda told: told == "0")
    publish(server, 1)
    for client in clients:
        client.close()
    until(lambda: httpx.get(f"{server.url}/listeners", timeout=30).text, lambda told: told == "0")


@pytest.mark.parametrize(
    ("rounds", "listeners"),
    [pytest.param(2, 8), pytest.param(20, 50, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
async def test_nothing_is_missed_over_kills_and_rolling_restarts(
    start: Start, url: str, rounds: int, listeners: int
):
    """Servers are killed and drained in turn while writers commit; a writer asks again."""
    servers = [start(DRAIN="0.1"), start(DRAIN="0.1")]
    clients = [WireClient(lambda: [s.port for s in servers], "/events") for _ in range(listeners)]
    running = [asyncio.create_task(client.run()) for client in clients]
    await until_async(lambda: all(client.last_id for client in clients))
    busy = [asyncio.create_task(_write(servers, writer)) for writer in range(3)]
    for number in range(2 * rounds):
        place = number % 2
        new = await asyncio.to_thread(start, DRAIN="0.1")
        old, servers[place] = servers[place], new
        old.send_signal(signal.SIGKILL if number % 4 < 2 else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(old.wait, 30)
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
    await until_async(lambda: _settled(url))
    wanted = await _kept(url)
    try:
        for client in clients:
            assert await until_told(client, len(wanted)) == wanted
    finally:
        for task in running:
            task.cancel()
    if report := os.environ.get("SOAK_REPORT"):
        with Path(report).open("a") as file:  # noqa: ASYNC230 - at the end
            came_back = sum(client.connections for client in clients)
            file.write(
                f"{url.partition(':')[0]}: {listeners} listeners, {rounds} kills and {rounds} "
                f"restarts, {len(wanted)} events, {came_back} connections, 0 missed, 0 twice\n"
            )


async def _write(servers: list[Server], writer: int) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        number = 0
        while True:
            number += 1
            port = random.choice(servers).port
            with suppress(httpx.HTTPError):
                await client.post(f"http://127.0.0.1:{port}/publish", json=[writer, number])
            await asyncio.sleep(0.02)


async def _settled(url: str) -> bool:
    async with database(url) as db, db.begin() as tx:
        none = sa.select(sa.func.count()).where(events.table.c.position.is_(None))
        return await tx.scalar(none) == 0


async def _kept(url: str) -> list[Any]:
    query = sa.select(events.table.c.data).order_by(events.table.c.position)
    async with database(url) as db, db.begin() as tx:
        return [json.loads(data) for data in await tx.scalars(query)]
