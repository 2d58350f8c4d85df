"""Measure what a crowd does to `def` routes: `python benchmarks/threads.py`.

200 requests at once on a pool of five connections. Each looks up its user in a dependency,
which then holds the connection, and runs its route in another one of FastAPI's 40 threads.
The peer is the session dependency of FastAPI's full-stack template, with that pool and
SQLAlchemy's `pool_timeout`, which is 30 seconds; a request without a database is sent once a
second beside them, and waits for a thread as well.

`python benchmarks/threads.py serve PEER URL PORT` is what it runs as a server.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import uvicorn
import writes
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from writes import Item, Peer, Server, fill, postgresql

from roadworthy import problems
from roadworthy.database import Database, SyncTx
from roadworthy.lifespan import lifespan

CROWD = 200
POOL = 5
RESULTS = Path(__file__).parent / "results" / "threads.md"


def roadworthy_app(url: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(Database(url, pool_size=POOL)))
    problems.install(app)

    def user(tx: SyncTx) -> Item:
        return tx.get_one(Item, 1)

    @app.get("/items/{item_id}")
    def get(item_id: int, tx: SyncTx, _: Annotated[Item, Depends(user)]) -> int:
        return read(tx, item_id)

    add_ping(app)
    return app


def template_app(url: str) -> FastAPI:
    url = url.replace("+aiosqlite", "")
    engine = create_engine(url, pool_size=POOL, max_overflow=0)

    def get_db() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    def user(session: Annotated[Session, Depends(get_db)]) -> Item:
        return session.get_one(Item, 1)

    app = FastAPI()

    @app.get("/items/{item_id}")
    def get(
        item_id: int,
        session: Annotated[Session, Depends(get_db)],
        _: Annotated[Item, Depends(user)],
    ) -> int:
        return read(session, item_id)

    add_ping(app)
    return app


def read(session: Session, item_id: int) -> int:
    time.sleep(0.005)  # a database that is slow
    return session.get_one(Item, item_id).quantity


def add_ping(app: FastAPI) -> None:
    @app.get("/ping")
    def ping() -> None: ...


def serve(peer: str, url: str, port: int) -> None:
    app = roadworthy_app(url) if peer == "roadworthy" else template_app(url)
    uvicorn.run(app, port=port, access_log=False, log_level="critical")


async def ask(port: int, path: str) -> tuple[int, float]:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), time.perf_counter() - began


async def measure(peer: Peer) -> list[str]:
    await fill(peer.url)
    server = Server(peer)
    try:
        await ask(server.port, "/items/1")
        crowd = asyncio.gather(*(ask(server.port, f"/items/{n + 1}") for n in range(CROWD)))
        pings = []
        while not crowd.done():
            pings.append(asyncio.create_task(ask(server.port, "/ping")))
            await asyncio.wait([crowd], timeout=1)
        answers, waited = await crowd, await asyncio.gather(*pings)
    finally:
        server.stop()
    statuses = Counter(status for status, _ in answers)
    others = sum(count for status, count in statuses.items() if status not in {200, 503})
    slowest, ping = max(took for _, took in answers), max(took for _, took in waited)
    counts = [str(statuses[200]), str(statuses[503]), str(others)]
    return [peer.label, *counts, f"{slowest:.1f}", f"{ping:.1f}"]


async def main() -> None:
    writes.__file__ = __file__  # what its servers run
    with tempfile.TemporaryDirectory() as folder:
        peers = [
            Peer("SQLite: the template's dependency", "template", writes.sqlite(folder, "stock")),
            Peer("SQLite: roadworthy `SyncTx`", "roadworthy", writes.sqlite(folder, "ours")),
        ]
        async with postgresql() as url:
            for name, label in (
                ("template", "the template's dependency"),
                ("roadworthy", "roadworthy `SyncTx`"),
            ):
                if url is not None:
                    psycopg = url.replace("postgresql://", "postgresql+psycopg://")
                    peers.append(Peer(f"PostgreSQL: {label}", name, psycopg))
            report([await measure(peer) for peer in peers])


def report(rows: list[list[str]]) -> None:
    head = ["peer", "200", "503", "500", "slowest s", "slowest ping s"]
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|--:|--:|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    table = "\n".join(lines)
    told = (__doc__ or "").partition("`python benchmarks/threads.py serve")[0]
    RESULTS.write_text(f"{told}\n{table}\n")
    print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        asyncio.run(main())
