"""A service whose clients write to the object store by themselves."""

import os
from datetime import timedelta
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from pydantic import BaseModel

from roadworthy import problems
from roadworthy.lifespan import find, lifespan
from roadworthy.problems import Conflict
from roadworthy.uploads import Direct, Files, MiB, Offer, Stored, Upload
from roadworthy.uploads.stores.objects import Objects
from roadworthy.uploads.types import PNG

direct = Direct(
    Upload(max_bytes=1 * MiB, accept=(PNG,)),
    secret=bytes(32),
    expires=timedelta(seconds=float(os.environ.get("EXPIRES", "60"))),
)
kept: dict[str, Stored] = {}


class Confirmation(BaseModel):
    ticket: str
    refuse: bool = False


async def offer(request: Request, filename: str, owner: str = "") -> Offer:
    return await direct.offer(request, filename=filename, media_type="image/png", owner=owner)


async def confirm(request: Request, sent: Confirmation, owner: str = "") -> dict[str, Any]:
    stored = await direct.confirm(request, sent.ticket, owner=owner)
    if sent.refuse:
        raise Conflict
    kept[stored.key] = stored
    return {"key": stored.key, "name": stored.filename, "type": stored.media_type}


async def content(request: Request, key: str) -> Any:
    return await find(request, Files).download(request, kept[key])


async def keys(request: Request) -> list[str]:
    return [entry.key async for entry in find(request, Files).store.entries()]


def create_app() -> FastAPI:
    config = {
        "endpoint": os.environ["OBJECT_URL"],
        "access_key_id": "any",
        "secret_access_key": "any",
        "region": "us-east-1",
    }
    store = Objects(f"s3://ready/{uuid4().hex}", config=config, allow_http=True)
    files = Files(store, max_in_flight=int(os.environ.get("MAX_IN_FLIGHT", 1 * MiB)))
    app = FastAPI(lifespan=lifespan(files))
    app.get("/offer")(offer)
    app.post("/confirm", status_code=201)(confirm)
    app.get("/content")(content)
    app.get("/keys")(keys)
    problems.install(app)
    return app
