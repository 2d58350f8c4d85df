"""The application that the tests of `roadworthy.database` serve: one route for each way to end."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util.concurrency import await_

from roadworthy import problems
from roadworthy.database import Database, Read, Tx, on_commit, transaction
from roadworthy.lifespan import find, lifespan

SCHEMA = [
    (
        "CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0),"
        " name VARCHAR(20) UNIQUE)"
    ),
    (
        "CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL"
        " REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED)"
    ),
    "INSERT INTO item (id, n) VALUES (1, 0)",
]
INSERT = text("INSERT INTO item (id, n, name) VALUES (:id, :n, :name)")
SLEEP = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x)"
    " FROM c",
    "postgresql": "SELECT pg_sleep(60)",
}

Retried = Annotated[AsyncSession, transaction(attempts=20, isolation="SERIALIZABLE")]
router = APIRouter(prefix="/included")
seen: list[Any] = []


async def put(tx: AsyncSession, item_id: int, *, n: int = 0, name: str | None = None) -> None:
    await tx.execute(INSERT, {"id": item_id, "n": n, "name": name})


async def ids(tx: AsyncSession) -> list[int]:
    return list((await tx.execute(text("SELECT id FROM item ORDER BY id"))).scalars())


@router.post("/items/{item_id}")
async def add_included(item_id: int, tx: Tx) -> dict[str, int]:
    await put(tx, item_id)
    return {"id": item_id}


@router.get("/items")
async def list_items(read: Read) -> list[int]:
    return await ids(read)


@router.post("/items")
async def add(item: Annotated[dict[str, Any], Body()], tx: Tx) -> dict[str, Any]:
    await put(tx, item["id"], n=item.get("n", 0), name=item.get("name"))
    return item


@router.post("/ends/{how}/{item_id}")
async def end(how: str, item_id: int, tx: Tx) -> Any:
    await put(tx, item_id)
    on_commit(tx, lambda: seen.append(item_id))
    if how == "answers-409":
        return JSONResponse({"said": "no"}, 409)
    if how == "raises":
        raise problems.NotFound
    if how == "cancelled":
        raise asyncio.CancelledError
    return {}


@router.post("/orphan/{part_id}")
async def orphan(part_id: int, tx: Tx) -> dict[str, int]:
    await tx.execute(text("INSERT INTO part (id, item_id) VALUES (:id, 999)"), {"id": part_id})
    on_commit(tx, lambda: seen.append("orphan"))
    return {"id": part_id}


@router.post("/increment")
async def increment(tx: Tx) -> dict[str, int]:
    query = "SELECT n FROM item WHERE id = 1"
    lock = "" if tx.get_bind().dialect.name == "sqlite" else " FOR UPDATE"
    n = (await tx.execute(text(query + lock))).scalar_one()
    await asyncio.sleep(0.001)
    await tx.execute(text("UPDATE item SET n = :n WHERE id = 1"), {"n": n + 1})
    return {"n": n + 1}


@router.post("/increment-retried")
async def increment_retried(tx: Retried) -> dict[str, int]:
    n = (await tx.execute(text("SELECT n FROM item WHERE id = 1"))).scalar_one()
    await asyncio.sleep(0.001)
    await tx.execute(text("UPDATE item SET n = :n WHERE id = 1"), {"n": n + 1})
    return {"n": n + 1}


@router.get("/n")
async def count(read: Read) -> int:
    return int((await read.execute(text("SELECT n FROM item WHERE id = 1"))).scalar_one())


@router.post("/background/{item_id}")
async def background(item_id: int, tx: Tx, tasks: BackgroundTasks, request: Request) -> None:
    db = find(request, Database)

    async def look(who: str) -> None:
        async with db.read() as read:
            seen.append([who, item_id in await ids(read)])
        print(who, "has looked", flush=True)  # noqa: T201 - tests wait for it

    async def look_at_once() -> None:
        await look("on_commit")

    await put(tx, item_id)
    on_commit(tx, look_at_once)
    tasks.add_task(look, "background")


@router.post("/callback-fails/{item_id}")
async def callback_fails(item_id: int, tx: Tx) -> dict[str, int]:
    def fail() -> None:
        raise LookupError("the callback is broken")

    await put(tx, item_id)
    on_commit(tx, fail)
    return {"id": item_id}


@router.get("/stream")
async def stream(tx: Tx) -> StreamingResponse:
    async def rows() -> AsyncIterator[str]:
        yield "first "
        try:
            await tx.execute(text("SELECT 1"))
        except Exception as error:
            yield f"{type(error).__name__}: {error}"

    return StreamingResponse(rows())


@router.get("/long-stream")
async def long_stream(tx: Tx) -> StreamingResponse:
    await tx.execute(text("SELECT 1"))
    return StreamingResponse(iter([b"x" * 1_000_000] * 100))


@router.get("/jsonl")
async def jsonl(tx: Tx) -> AsyncIterator[str]:
    try:
        await tx.execute(text("SELECT 1"))
    except Exception as error:
        yield type(error).__name__


@router.get("/hold/{milliseconds}")
async def hold(milliseconds: int, tx: Tx) -> dict[str, int]:
    await tx.execute(text("SELECT n FROM item WHERE id = 1"))
    await asyncio.sleep(milliseconds / 1000)
    return {}


@router.post("/slow/{item_id}")
async def slow(item_id: int, tx: Tx) -> None:
    await put(tx, item_id)
    print("handler is waiting", flush=True)  # noqa: T201 - tests wait for it
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("handler was cancelled", flush=True)  # noqa: T201 - tests wait for it
        raise


@router.get("/endless")
async def endless(read: Read) -> None:
    await read.execute(text(SLEEP[read.get_bind().dialect.name]))


@router.post("/endless")
async def endless_write(tx: Tx) -> None:
    await put(tx, 777)
    await tx.execute(text(SLEEP[tx.get_bind().dialect.name]))


@router.post("/checked/{number}")
async def checked(number: int, body: Annotated[dict[str, int], Body()], tx: Tx) -> None: ...


@router.post("/swallow/{item_id}")
async def swallow(item_id: int, tx: Tx) -> dict[str, int]:
    await put(tx, item_id)
    try:
        await put(tx, item_id)
    except Exception:
        seen.append("swallowed")
    return {"id": item_id}


@router.post("/savepoint/{item_id}")
async def savepoint(item_id: int, tx: Tx) -> dict[str, int]:
    await put(tx, item_id)
    try:
        async with tx.begin_nested():
            await put(tx, item_id)
    except Exception:
        seen.append("expected")
    return {"id": item_id}


async def swallowing(tx: Tx) -> AsyncIterator[AsyncSession]:
    try:
        yield tx
    except Exception:
        seen.append("dependency swallowed")


@router.post("/swallowing-dependency/{item_id}")
async def use_swallowing(
    item_id: int, tx: Annotated[AsyncSession, Depends(swallowing, scope="function")]
) -> None:
    await put(tx, item_id)
    raise LookupError


@router.post("/explicit/{item_id}")
async def explicit(item_id: int, tx: Tx) -> None:
    await put(tx, item_id)
    await tx.commit()
    raise problems.NotFound


@router.post("/broken-rollback/{item_id}")
async def broken_rollback(item_id: int, tx: Tx, request: Request) -> None:
    engine = find(request, Database).engine.sync_engine

    @event.listens_for(engine, "rollback", once=True)
    def fail(_: Any) -> None:
        raise ConnectionResetError("the rollback is broken")

    await put(tx, item_id)
    raise problems.NotFound


@router.get("/joined")
async def joined(tx: Tx, other: Retried) -> bool:
    return tx is other


@router.get("/seen")
async def what_was_seen() -> list[Any]:
    return seen


@router.get("/checked-out")
async def checked_out(request: Request) -> int:
    db = find(request, Database)
    pools: list[Any] = [db.engine.pool, db.read_engine.pool]
    return sum(pool.checkedout() for pool in dict.fromkeys(pools))


@router.websocket("/socket")
async def socket(websocket: WebSocket, tx: Tx) -> None:
    await websocket.accept()


def make(url: str, **options: Any) -> FastAPI:
    db = Database(url, **options)
    app = FastAPI(lifespan=lifespan(db, Prepared(db)))
    problems.install(app)
    app.include_router(router)
    return app


class Prepared:
    """Create the tables when they are not there, and slow commits down where asked to."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def __aenter__(self) -> None:
        seen.clear()
        async with self.db.begin() as tx:
            name = tx.get_bind().dialect.name
            catalogue = (
                "sqlite_master WHERE name" if name == "sqlite" else "pg_tables WHERE tablename"
            )
            found = (await tx.execute(text(f"SELECT 1 FROM {catalogue} = 'item'"))).first()
            for statement in [] if found else SCHEMA:
                await tx.execute(text(statement))
        if seconds := float(os.environ.get("SLOW_COMMIT", "0")):
            engine = self.db.engine.sync_engine
            event.listen(engine, "commit", lambda _: await_(asyncio.sleep(seconds)))

    async def __aexit__(self, *_: object) -> None:
        print("closing", flush=True)  # noqa: T201 - tests wait for it


def create_app() -> FastAPI:
    seconds = {
        name: timedelta(seconds=float(os.environ[name.upper()]))
        for name in ("max_wait", "statement_timeout", "drain")
        if name.upper() in os.environ
    }
    size = int(os.environ.get("POOL_SIZE", "5"))
    return make(os.environ["URL"], pool_size=size, **seconds)
