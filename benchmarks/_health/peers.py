"""The services that are compared: one application, with the health of each peer."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

POOL = 5
SECOND = timedelta(seconds=1)
URL = os.environ.get("BENCH_URL", "")


def roadworthy() -> FastAPI:
    """`Health` as its documentation has it, and the limit of time that belongs to it."""
    from roadworthy import limits, problems
    from roadworthy.database import Database, Read
    from roadworthy.health import Health
    from roadworthy.lifespan import lifespan

    db = Database(URL, pool_size=POOL)
    health = Health(drain=2 * SECOND)
    health.add("database", db.ping, timeout=SECOND, interval=SECOND)
    app = FastAPI(lifespan=lifespan(db, health))

    async def query(read: Read, seconds: float = 0) -> str:
        await read.execute(text(f"SELECT pg_sleep({seconds})"))
        return "done"

    async def ping() -> str:
        return "pong"

    add_routes(app, ping, query, lambda: taken(db.engine))
    limits.install(app, time=10 * SECOND)
    health.install(app)
    problems.install(app)
    return app


def article(*, deadline: float | None = None) -> FastAPI:
    """An `async def health` that asks the session of requests, as most articles write it."""
    app, get_session = application()

    @app.get("/health")
    async def health(session: Annotated[AsyncSession, Depends(get_session)]) -> dict[str, str]:
        try:
            async with asyncio.timeout(deadline):
                await session.execute(text("SELECT 1"))
        except Exception as error:  # as articles do
            raise HTTPException(503, "unhealthy") from error
        return {"status": "healthy"}

    return app


def article_of_threads() -> FastAPI:
    """The same with plain functions and psycopg: everything is in the pool of 40 threads."""
    url = URL.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, pool_size=POOL, max_overflow=0)
    sessions = sessionmaker(engine)
    app = FastAPI()

    def get_session() -> Iterator[Session]:
        with sessions() as session:
            yield session

    def query(session: Annotated[Session, Depends(get_session)], seconds: float = 0) -> str:
        session.execute(text(f"SELECT pg_sleep({seconds})"))
        return "done"

    def ping() -> str:
        return "pong"

    add_routes(app, ping, query, lambda: taken(engine))

    @app.get("/health")
    def health(session: Annotated[Session, Depends(get_session)]) -> dict[str, str]:
        try:
            session.execute(text("SELECT 1"))
        except Exception as error:  # as articles do
            raise HTTPException(503, "unhealthy") from error
        return {"status": "healthy"}

    return app


def fastapi_health() -> FastAPI:
    """Its conditions are dependencies; its documentation's asks the session of requests."""
    from fastapi_health import health  # type: ignore[import-untyped]

    app, get_session = application()

    async def is_database_online(
        session: Annotated[AsyncSession, Depends(get_session)],
    ) -> bool:
        try:
            await session.execute(text("SELECT 1"))
        except Exception:  # it knows conditions that are true or not
            return False
        return True

    app.add_api_route("/health", health([is_database_online]))
    return app


def fastapi_healthchecks(*, timeout: float = 60) -> FastAPI:
    """`PostgreSqlCheck`, which connects anew for each probe; 60 s are its default."""
    # It has types, and no py.typed.
    from fastapi_healthchecks.api.router import (  # type: ignore[import-untyped]
        HealthcheckRouter,
        Probe,
    )
    from fastapi_healthchecks.checks.postgres import (  # type: ignore[import-untyped]
        PostgreSqlCheck,
    )

    app, _ = application()
    check = PostgreSqlCheck.from_url(URL, timeout=timeout)
    app.include_router(HealthcheckRouter(Probe(name="readiness", checks=[check])), prefix="/health")
    return app


def fast_healthchecks(*, timeout: float = 5) -> FastAPI:
    """`PostgreSQLAsyncPGHealthCheck`, which connects anew, too; 5 s are its default."""
    from fast_healthchecks import Probe
    from fast_healthchecks.checks.postgresql.asyncpg import PostgreSQLAsyncPGHealthCheck
    from fast_healthchecks.integrations.fastapi import HealthcheckRouter

    app, _ = application()
    check = PostgreSQLAsyncPGHealthCheck.from_dsn(URL, timeout=timeout)
    app.include_router(HealthcheckRouter(Probe(name="readiness", checks=[check])))
    return app


@dataclass(frozen=True, slots=True)
class Peer:
    """One row, and the paths of its probes: the first is the one that decides on requests."""

    name: str
    make: Callable[[], FastAPI]
    paths: tuple[str, ...] = ("/health",)


_READINESS = ("/health/readiness",)
OURS = "**roadworthy.health**"
PEERS = [
    Peer(OURS, roadworthy, ("/readyz", "/livez", "/health")),
    Peer("article, `async def`", article),
    Peer("article, `async def`, a timeout of 1 s", lambda: article(deadline=1)),
    Peer("article, `def`", article_of_threads),
    Peer("fastapi-health", fastapi_health),
    Peer("fastapi-healthchecks", fastapi_healthchecks, _READINESS),
    Peer("fastapi-healthchecks, timeout 1 s", lambda: fastapi_healthchecks(timeout=1), _READINESS),
    Peer("fast-healthchecks", fast_healthchecks, _READINESS),
    Peer("fast-healthchecks, timeout 1 s", lambda: fast_healthchecks(timeout=1), _READINESS),
]


# --- what all of them have --------------------------------------------------------------


def application() -> tuple[FastAPI, Callable[[], AsyncIterator[AsyncSession]]]:
    """Return an application on SQLAlchemy and asyncpg, and its dependency of a session."""
    url = URL.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, pool_size=POOL, max_overflow=0)
    sessions = async_sessionmaker(engine)

    @asynccontextmanager
    async def opened(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def query(
        session: Annotated[AsyncSession, Depends(get_session)], seconds: float = 0
    ) -> str:
        await session.execute(text(f"SELECT pg_sleep({seconds})"))
        return "done"

    async def ping() -> str:
        return "pong"

    app = FastAPI(lifespan=opened)
    add_routes(app, ping, query, lambda: taken(engine))
    return app, get_session


def add_routes(
    app: FastAPI, ping: Callable[..., Any], query: Callable[..., Any], count: Callable[[], int]
) -> None:
    async def pool() -> int:
        return count()

    app.get("/ping")(ping)
    app.get("/query")(query)
    app.get("/pool")(pool)


def taken(engine: Any) -> int:
    """Return how many connections of the pool are lent."""
    lent: int = engine.pool.checkedout()
    return lent


async def least(scope: Any, receive: Any, send: Any) -> None:
    """Answer 200 to everything: what a probe costs without a framework, or a service."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


def serve(name: str, port: str) -> None:
    make = next((peer.make for peer in PEERS if peer.name == name), lambda: least)
    # Connections are kept while the others are asked.
    uvicorn.run(
        make(),
        port=int(port),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=600,
    )
