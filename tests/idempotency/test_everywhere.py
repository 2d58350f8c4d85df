"""A key means the same wherever its route is."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from roadworthy import idempotency, problems
from roadworthy.database import Database, Tx
from roadworthy.idempotency import Idempotency
from roadworthy.lifespan import lifespan

orders = sa.Table("orders", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))


def routes() -> APIRouter:
    router, once = APIRouter(), Idempotency(Tx)

    @router.post("/orders", status_code=201, dependencies=[once.key])
    async def add(tx: Tx) -> int:
        return await tx.scalar(sa.insert(orders).returning(orders.c.id)) or 0

    return router


def made() -> FastAPI:
    app = FastAPI()
    app.include_router(routes())
    return app


def in_it(app: FastAPI) -> str:
    app.include_router(routes())
    return ""


def included_twice(app: FastAPI) -> str:
    outer = APIRouter(prefix="/b")
    outer.include_router(routes(), prefix="/a")
    app.include_router(outer)
    return "/b/a"


def mounted(app: FastAPI) -> str:
    app.mount("/sub", made())
    return "/sub"


def mounted_deep(app: FastAPI) -> str:
    between = FastAPI()
    between.routes.append(Mount("/b", GZipMiddleware(made())))
    app.mount("/a", between)
    return "/a/b"


def added_later(app: FastAPI) -> str:
    app.state.later = lambda: app.include_router(routes(), prefix="/later")
    return "/later"


def mounted_later(app: FastAPI) -> str:
    app.state.later = lambda: app.mount("/later", made())
    return "/later"


@pytest.mark.parametrize(
    "put", [in_it, included_twice, mounted, mounted_deep, added_later, mounted_later]
)
def test_a_key_holds_wherever_its_route_is(put: Any, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/shop.db")

    @asynccontextmanager
    async def later() -> AsyncGenerator[None]:
        async with database.begin() as tx:
            connection = await tx.connection()
            for metadata in (orders.metadata, idempotency.metadata):
                await connection.run_sync(metadata.create_all)
        getattr(app.state, "later", lambda: None)()
        yield

    app = FastAPI(lifespan=lifespan(database, later()))
    problems.install(app)
    prefix = put(app)
    with TestClient(app) as client:
        answers = [
            client.post(f"{prefix}/orders", headers={"Idempotency-Key": "k"}) for _ in range(3)
        ]

    assert [(a.status_code, a.text) for a in answers] == [(201, "1")] * 3
