"""A small application with events: in this process, or served by uvicorn with `URL`."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Body, FastAPI, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import events, limits, problems
from roadworthy.database import Database, SyncTx, Tx
from roadworthy.events import Events, EventStream
from roadworthy.health import Health
from roadworthy.lifespan import find, lifespan
from support.polling import until_async

__all__ = ["Shop", "create_app", "database", "shop"]

ASK = timedelta(seconds=0.1)


class Shop:
    """An application, its database and its part."""

    def __init__(self, app: FastAPI, db: Database, part: Events) -> None:
        self.app, self.db, self.part = app, db, part
        self.banned = False

    async def publish(self, *data: Any, topic: str = "orders", name: str | None = None) -> None:
        """Publish in one transaction."""
        async with self.db.begin() as tx:
            for one in data:
                await events.publish(tx, topic, one, name=name)

    async def settled(self) -> None:
        """Wait until all that is committed has its position."""
        query = sa.select(events.table.c.id).where(events.table.c.position.is_(None))
        await until_async(lambda: self.scalar(query), lambda found: found is None)

    async def scalar(self, query: Any) -> Any:
        async with self.db.begin() as tx:
            return await tx.scalar(query)

    async def execute(self, statement: Any) -> None:
        async with self.db.begin() as tx:
            await tx.execute(statement)


async def _stream(
    request: Request,
    topic: list[str] = Query(["orders"]),  # noqa: B008
) -> EventStream:
    return events.stream(request, topic)


async def _guarded(request: Request) -> EventStream:
    async def may_listen() -> bool:
        return not request.app.state.shop.banned

    return events.stream(request, "orders", may_listen=may_listen, ask_every=ASK)


async def _of_one(request: Request, order_id: str) -> EventStream:
    return events.stream(request, f"orders/{order_id}")


async def _publish(tx: Tx, data: Annotated[Any, Body()], topic: str = "orders") -> None:
    await events.publish(tx, topic, data)


def _publish_sync(tx: SyncTx, data: str) -> None:
    events.publish_sync(tx, "orders", data)


async def _listeners(request: Request) -> int:
    return find(request, Events).feed.listeners


async def _held(request: Request) -> int:
    return find(request, Database).engine.pool.checkedout()  # type: ignore[attr-defined]


def _application(*parts: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan(*parts))
    app.get("/events", response_class=EventStream)(_stream)
    app.get("/guarded", response_class=EventStream)(_guarded)
    app.get("/orders/{order_id}/events", response_class=EventStream)(_of_one)
    app.post("/publish")(_publish)
    app.post("/publish-sync")(_publish_sync)
    app.get("/listeners")(_listeners)
    app.get("/held")(_held)
    return app


@asynccontextmanager
async def database(url: str, **options: Any) -> AsyncGenerator[Database]:
    """Open a database that has the tables."""
    async with Database(url, **options) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(events.metadata.create_all)
        yield db


@asynccontextmanager
async def shop(db: Database, **options: Any) -> AsyncGenerator[Shop]:
    """Open an application on a database that is open."""
    part = Events(db, **options)
    app = _application(_Open(db), part)
    problems.install(app)
    app.state.shop = Shop(app, db, part)
    async with app.router.lifespan_context(app):
        yield app.state.shop


class _Open(Database):
    """A database that somebody else has opened."""

    def __init__(self, db: Database) -> None:
        self.__dict__ = db.__dict__

    async def __aenter__(self) -> "_Open":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def create_app() -> FastAPI:
    """Return what a server process serves."""
    db = Database(os.environ["URL"], behind_pooler="POOLER" in os.environ)
    part = Events(db, heartbeat=timedelta(seconds=float(os.environ.get("HEARTBEAT", "15"))))
    health = Health(drain=timedelta(seconds=float(os.environ.get("DRAIN", "0"))))
    app = _application(db, part, *([health] if "DRAIN" in os.environ else []))
    limits.install(app, at_most=200)
    if "DRAIN" in os.environ:
        health.install(app)
    problems.install(app)
    return app


async def written(session: AsyncSession) -> int:
    """Return how many events are in the table."""
    return await session.scalar(sa.select(sa.func.count()).select_from(events.table)) or 0
