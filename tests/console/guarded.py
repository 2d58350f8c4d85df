"""A service behind a token, with a job that died: `console.guarded:create_app` for uvicorn.

`TOKEN` is the token, `ACTIONS` what it lets do, `CORS` an origin that may read with credentials.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from console import shop
from console.shop import JOBS, PROBLEMS, ago, jobs_of, put
from roadworthy import problems
from roadworthy.console import EVERY_ACTION, Action, Token, console
from roadworthy.database import Database
from roadworthy.health import Health
from roadworthy.lifespan import lifespan
from roadworthy.problem_log import ProblemLog
from roadworthy.tables import metadata

__all__ = ["create_app"]


async def warns() -> str:
    return "only 3 bytes are free"


def create_app() -> FastAPI:
    db = Database(os.environ["DATABASE"])
    health = Health(version="1.4.2")
    health.add("disk", warns, critical=False)
    log = ProblemLog(db)
    parts = (db, filled(db), jobs_of(db, version="1.4.2"), log, health)
    app = FastAPI(lifespan=lifespan(*parts))
    problems.install(app)
    log.watch(app)
    if origin := os.environ.get("CORS"):
        app.add_middleware(CORSMiddleware, allow_origins=[origin], allow_credentials=True)
    named = os.environ.get("ACTIONS")
    actions = EVERY_ACTION if named is None else cast("list[Action]", named.split())
    access = Token(os.environ["TOKEN"], actions=actions, session=timedelta(hours=1))
    app.include_router(console(access=access), prefix="/ops")
    return app


@asynccontextmanager
async def filled(db: Database) -> AsyncIterator[None]:
    """Make the tables, and put a few rows into them."""
    async with db.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    if not os.environ.get("EMPTY"):
        await _fill(db)
    yield


async def _fill(db: Database) -> None:
    died: dict[str, Any] = {"error_code": "SMTP_DOWN", "finished_at": ago(minutes=3)}
    await put(db, JOBS, shop.job("dead", id="01900000-0000-7000-8000-000000000001", **died))
    await put(db, PROBLEMS, *(shop.problem(at=ago(minutes=n)) for n in range(5)))
