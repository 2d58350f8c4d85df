"""Measure acknowledged PATCH transactions of `def` routes: `python benchmarks/sync_writes.py`.

As `benchmarks/writes.py` does for `async def`: each PATCH reads a row through the ORM, adds
one, writes it, and is counted when its 200 has arrived; at the end the rows are added up, and
what is missing was lost. The peer is the session dependency of FastAPI's full-stack template,
with the commit and the refresh that its routes have, on SQLAlchemy's default pool. With more
clients than threads it locks up, which `benchmarks/threads.py` measures: there it has one round,
and who has no answer after 15 seconds counts as an error; what was lost is not known then, as some
of these were written. Processor time is that of the server for
a request; it says more than the rate where the machine has other work.

`python benchmarks/sync_writes.py serve PEER URL PORT` is what it runs as a server.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import uvicorn
import writes
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from writes import POOL, Item, Peer, measure, postgresql, serving, sqlite

from roadworthy.database import Database, SyncTx
from roadworthy.lifespan import lifespan

CLIENTS = tuple(int(n) for n in os.environ.get("CLIENTS", "1,32,200").split(","))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
THREADS = 40
"""With more clients than threads the template's dependency locks up: see `threads.py`."""
PATIENCE = 15.0
"""Seconds that a client waits for its last answer then."""
PLACES = os.environ.get("PLACES", "SQLite,PostgreSQL").split(",")
RESULTS = Path(__file__).parent / "results" / "sync_writes.md"


def roadworthy_app(url: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(Database(url, pool_size=POOL)))

    @app.patch("/items/{item_id}")
    def patch(item_id: int, tx: SyncTx) -> dict[str, int]:
        item = add_one(tx, item_id)
        tx.flush()
        return {"id": item.id, "quantity": item.quantity}

    return app


def template_app(url: str) -> FastAPI:
    """The session dependency of the template, and what its routes do with the session."""
    engine = create_engine(url.replace("+aiosqlite", "").replace("+asyncpg", "+psycopg"))

    def get_db() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    app = FastAPI()

    @app.patch("/items/{item_id}")
    def patch(item_id: int, session: Annotated[Session, Depends(get_db)]) -> dict[str, int]:
        item = add_one(session, item_id)
        session.add(item)
        session.commit()
        session.refresh(item)
        return {"id": item.id, "quantity": item.quantity}

    return app


def add_one(session: Session, item_id: int) -> Item:
    item = session.get_one(Item, item_id, with_for_update=True)
    item.quantity += 1
    return item


def serve(peer: str, url: str, port: int) -> None:
    app = roadworthy_app(url) if peer == "roadworthy" else template_app(url)
    uvicorn.run(app, port=port, access_log=False, log_level="error")


async def main() -> None:
    writes.__file__ = __file__  # what its servers run
    os.sched_setaffinity(0, writes.CORES[1:] or writes.CORES)
    with tempfile.TemporaryDirectory() as folder:
        peers = [
            Peer("SQLite: the template's dependency", "template", sqlite(folder, "template")),
            Peer("SQLite: roadworthy `SyncTx`", "roadworthy", sqlite(folder, "roadworthy")),
        ]
        async with postgresql() as url:
            peers += postgresql_peers(url) if url else []
            peers = [peer for peer in peers if peer.label.partition(":")[0] in PLACES]
            async with serving(peers) as servers:
                for clients in CLIENTS * ROUNDS:
                    for peer, server in zip(peers, servers, strict=True):
                        if clients <= THREADS or peer.name != "template":
                            run = await measure(peer, server, clients)
                            peer.runs.setdefault(clients, []).append(run)
                for peer, server in zip(peers, servers, strict=True):
                    if peer.name == "template" and max(CLIENTS) > THREADS:
                        run = await measure(peer, server, max(CLIENTS), PATIENCE)
                        peer.runs[max(CLIENTS)] = [run]
        report(peers)


def postgresql_peers(url: str) -> list[Peer]:
    asyncpg_url = url.replace("postgresql://", "postgresql+asyncpg://")
    psycopg_url = url.replace("postgresql://", "postgresql+psycopg://")
    return [
        Peer("PostgreSQL: the template's dependency, psycopg", "template", psycopg_url),
        Peer("PostgreSQL: roadworthy `SyncTx`, psycopg", "roadworthy", psycopg_url),
        Peer("PostgreSQL: roadworthy `SyncTx`, asyncpg", "roadworthy", asyncpg_url),
    ]


def report(peers: list[Peer]) -> None:
    lines = [
        "| peer | clients | acknowledged/s | of the template's | p99 ms | CPU ms | errors | lost |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [row(p, peers, clients) for clients in CLIENTS for p in peers if clients in p.runs]
    table = "\n".join(lines)
    RESULTS.write_text(
        f"{__doc__.partition('`python benchmarks/sync_writes.py serve')[0]}\n{table}\n"
    )
    print(table)


def row(peer: Peer, peers: list[Peer], clients: int) -> str:
    runs, middle = peer.runs[clients], statistics.median
    place = peer.label.partition(":")[0]
    base = next(p for p in peers if p.name == "template" and p.label.startswith(place))
    pairs = zip(runs, base.runs.get(clients, ()), strict=False)
    ratios = [mine.rate / max(1e-9, theirs.rate) for mine, theirs in pairs]
    p99 = [1000 * r.times[int(len(r.times) * 0.99)] for r in runs if r.times]
    cells = [
        peer.label,
        str(clients),
        f"{middle(r.rate for r in runs):.0f}",
        f"{middle(ratios):.2f}" if ratios and clients <= THREADS else "-",
        f"{middle(p99):.0f}" if p99 else "-",
        f"{middle(r.cpu_ms for r in runs):.2f}",
        str(sum(r.errors for r in runs)),
        str(lost) if (lost := sum(r.lost for r in runs)) >= 0 else "-",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        asyncio.run(main())
