"""Measure acknowledged PATCH transactions: `python benchmarks/writes.py`.

Each PATCH reads a row through the ORM, adds one, writes it, and is counted when its
200 has arrived. At the end the rows are added up: what is missing was lost. Servers
are one uvicorn process each, on one core; clients are sockets that are kept open, on
another. The peers are measured in turns in the same run. PostgreSQL is left out
unless PG_URL names one.

`python benchmarks/writes.py serve PEER URL PORT` is what it runs as a server.
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from roadworthy.database import Database, Tx
from roadworthy.lifespan import lifespan

ROWS = 200
CLIENTS = (1, 32)
SECONDS = 1.2
ROUNDS = 5
CORES = sorted(os.sched_getaffinity(0))
POOL = 10
RESULTS = Path(__file__).parent / "results" / "writes.md"


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    quantity: Mapped[int]


# --- the servers ----------------------------------------------------------------------


def roadworthy_app(url: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(Database(url, pool_size=POOL)))

    @app.patch("/items/{item_id}")
    async def patch(item_id: int, tx: Tx) -> dict[str, int]:
        return await add_one(tx, item_id)

    return app


def hand_written_app(url: str) -> FastAPI:
    """The session dependency that commits before the response, and rolls back on anything."""
    options = {} if url.startswith("sqlite") else {"pool_size": POOL, "max_overflow": 0}
    engine = create_async_engine(url, **options)
    make_session = async_sessionmaker(engine, expire_on_commit=False)

    async def session() -> AsyncIterator[AsyncSession]:
        async with make_session() as open_session:
            try:
                yield open_session
                await open_session.commit()
            except BaseException:
                await open_session.rollback()
                raise

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=life)

    @app.patch("/items/{item_id}")
    async def patch(
        item_id: int, tx: Annotated[AsyncSession, Depends(session, scope="function")]
    ) -> dict[str, int]:
        return await add_one(tx, item_id)

    return app


async def add_one(tx: AsyncSession, item_id: int) -> dict[str, int]:
    item = await tx.get_one(Item, item_id, with_for_update=True)
    item.quantity += 1
    await tx.flush()
    return {"id": item.id, "quantity": item.quantity}


def serve(peer: str, url: str, port: int) -> None:
    app = roadworthy_app(url) if peer == "roadworthy" else hand_written_app(url)
    uvicorn.run(app, port=port, access_log=False, log_level="error")


# --- the measurement ------------------------------------------------------------------


@dataclass
class Peer:
    label: str
    name: str
    url: str
    runs: dict[int, "list[Run]"] = field(default_factory=dict)


@dataclass
class Run:
    took: float
    cpu: float
    times: list[float]
    errors: int
    lost: int

    @property
    def rate(self) -> float:
        return len(self.times) / self.took

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu / max(1, len(self.times) + self.errors)


class Server:
    """One uvicorn process, its address and the processor time it has used."""

    def __init__(self, peer: Peer) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, __file__, "serve", peer.name, peer.url, str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        os.sched_setaffinity(self.process.pid, CORES[:1])
        self._wait()

    def _wait(self) -> None:
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionError:
                time.sleep(0.02)
            else:
                return

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()  # it has locked up
            self.process.wait()


async def client(
    port: int, until: float, seed: int, patience: float | None = None
) -> tuple[list[float], int]:
    """Send requests until then; who gets no answer within `patience` after that, has an error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    choose, times, errors = random.Random(seed), [], 0
    while (start := time.perf_counter()) < until:
        writer.write(b"PATCH /items/%d HTTP/1.1\r\nHost: x\r\n\r\n" % choose.randint(1, ROWS))
        try:
            async with asyncio.timeout(patience and until - start + patience):
                status = await answered(reader)
        except TimeoutError:
            errors += 1
            break
        if status == 200:
            times.append(time.perf_counter() - start)
        else:
            errors += 1
    writer.close()
    return times, errors


async def answered(reader: asyncio.StreamReader) -> int:
    """Return the status of an answer, once all of it is here."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
    return int(head.split()[1])


async def measure(peer: Peer, server: Server, clients: int, patience: float | None = None) -> Run:
    before = await total(peer.url)
    cpu, start = server.cpu(), time.perf_counter()
    answers = await asyncio.gather(
        *(client(server.port, start + SECONDS, seed, patience) for seed in range(clients))
    )
    took, used = time.perf_counter() - start, server.cpu() - cpu
    times = sorted(t for one, _ in answers for t in one)
    lost = len(times) - (await total(peer.url) - before)
    return Run(took, used, times, sum(errors for _, errors in answers), lost)


@asynccontextmanager
async def serving(peers: list[Peer]) -> AsyncIterator[list[Server]]:
    servers: list[Server] = []
    try:
        for peer in peers:
            await fill(peer.url)
            servers.append(Server(peer))
            # Caches and statements are warm before anything is counted.
            await client(servers[-1].port, time.perf_counter() + 0.5, seed=0)
        yield servers
    finally:
        for server in servers:
            server.stop()


async def fill(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
        rows = [{"id": i + 1, "name": f"item {i}", "quantity": 0} for i in range(ROWS)]
        await connection.execute(Item.__table__.insert(), rows)
    await engine.dispose()


async def total(url: str) -> int:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = (await connection.execute(select(func.sum(Item.quantity)))).scalar_one()
    await engine.dispose()
    return found


async def main() -> None:
    os.sched_setaffinity(0, CORES[1:] or CORES)
    with tempfile.TemporaryDirectory() as folder:
        peers = [
            Peer("SQLite: SQLAlchemy + aiosqlite defaults", "by-hand", sqlite(folder, "defaults")),
            Peer("SQLite: roadworthy `Tx`", "roadworthy", sqlite(folder, "roadworthy")),
        ]
        async with postgresql() as url:
            peers += postgresql_peers(url) if url else []
            async with serving(peers) as servers:
                for clients in CLIENTS * ROUNDS:
                    for peer, server in zip(peers, servers, strict=True):
                        run = await measure(peer, server, clients)
                        peer.runs.setdefault(clients, []).append(run)
        report(peers)


def sqlite(folder: str, name: str) -> str:
    return f"sqlite+aiosqlite:///{folder}/{name}.db"


def postgresql_peers(url: str) -> list[Peer]:
    asyncpg_url = url.replace("postgresql://", "postgresql+asyncpg://")
    psycopg_url = url.replace("postgresql://", "postgresql+psycopg://")
    return [
        Peer("PostgreSQL: by hand, asyncpg", "by-hand", asyncpg_url),
        Peer("PostgreSQL: roadworthy `Tx`, asyncpg", "roadworthy", asyncpg_url),
        Peer("PostgreSQL: by hand, psycopg", "by-hand", psycopg_url),
        Peer("PostgreSQL: roadworthy `Tx`, psycopg", "roadworthy", psycopg_url),
    ]


@asynccontextmanager
async def postgresql() -> AsyncIterator[str | None]:
    if (admin := os.environ.get("PG_URL")) is None:
        yield None
        return
    name = f"roadworthy_writes_{os.getpid()}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield admin.rpartition("/")[0] + "/" + name
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


def report(peers: list[Peer]) -> None:
    lines = [
        "| peer | clients | acknowledged/s | p50 ms | p99 ms | CPU ms/request | errors | lost |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [row(peer, clients) for clients in CLIENTS for peer in peers]
    table = "\n".join(lines)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{__doc__.partition('`python benchmarks/writes.py serve')[0]}\n{table}\n")
    print(table)


def row(peer: Peer, clients: int) -> str:
    runs = peer.runs[clients]
    middle = statistics.median
    cells = [
        peer.label,
        str(clients),
        f"{middle(r.rate for r in runs):.0f}",
        f"{middle(1000 * r.times[len(r.times) // 2] for r in runs):.1f}",
        f"{middle(1000 * r.times[int(len(r.times) * 0.99)] for r in runs):.1f}",
        f"{middle(r.cpu_ms for r in runs):.2f}",
        str(sum(r.errors for r in runs)),
        str(sum(r.lost for r in runs)),
    ]
    return f"| {' | '.join(cells)} |"


def command() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="serve PEER URL PORT")
    return parser.parse_args()


if __name__ == "__main__":
    words = command().words
    if words:
        serve(words[1], words[2], int(words[3]))
    else:
        asyncio.run(main())
