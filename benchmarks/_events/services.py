"""The two services: events of ours on PostgreSQL, and Redis pub/sub with sse-starlette."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request

__all__ = ["ours", "redis"]


def ours() -> FastAPI:
    from roadworthy import events
    from roadworthy.database import Database, Tx
    from roadworthy.events import Events, EventStream
    from roadworthy.lifespan import lifespan

    db = Database(os.environ["URL"])
    app = FastAPI(lifespan=lifespan(db, Events(db)))

    @app.post("/publish", status_code=204)
    async def publish(tx: Tx, data: Annotated[Any, Body()]) -> None:
        await events.publish(tx, "bench", data)

    @app.get("/events", response_class=EventStream)
    async def listen(request: Request) -> EventStream:
        return events.stream(request, "bench")

    return app


def redis() -> FastAPI:
    from redis.asyncio import Redis
    from sse_starlette import EventSourceResponse

    client: Redis = Redis.from_url(os.environ["REDIS_URL"], max_connections=5000)

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    app = FastAPI(lifespan=opened)

    @app.post("/publish", status_code=204)
    async def publish(data: Annotated[Any, Body()]) -> None:
        await client.publish("bench", json.dumps(data))

    @app.get("/events")
    async def listen() -> EventSourceResponse:
        async def told() -> AsyncIterator[dict[str, str]]:
            # One subscription a client, as the examples of sse-starlette have it.
            async with client.pubsub() as heard:
                await heard.subscribe("bench")
                async for message in heard.listen():
                    if message["type"] == "message":
                        yield {"data": message["data"].decode()}

        return EventSourceResponse(told())

    return app
