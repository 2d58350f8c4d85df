"""The application of `service.py` with `def` routes and SQLAlchemy's `Session`: `SyncTx`."""

import asyncio
import os
import time
from asyncio import CancelledError
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Annotated, Any

import service
from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from service import INSERT, SLEEP, Prepared, checked_out, seen, what_was_seen
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from roadworthy import problems
from roadworthy.database import (
    Database,
    SyncRead,
    SyncTx,
    Tx,
    on_commit,
    sync_transaction,
)
from roadworthy.lifespan import find, lifespan

Retried = Annotated[Session, sync_transaction(attempts=20, isolation="SERIALIZABLE")]
router = APIRouter(prefix="/included")
router.add_api_route("/seen", what_was_seen)
router.add_api_route("/checked-out", checked_out)


def put(tx: Session, item_id: int, *, n: int = 0, name: str | None = None) -> None:
    tx.execute(INSERT, {"id": item_id, "n": n, "name": name})


def ids(tx: Session) -> list[int]:
    return list(tx.execute(text("SELECT id FROM item ORDER BY id")).scalars())


@router.post("/items/{item_id}")
def add_included(item_id: int, tx: SyncTx) -> dict[str, int]:
    put(tx, item_id)
    return {"id": item_id}


@router.get("/items")
def list_items(read: SyncRead) -> list[int]:
    return ids(read)


@router.post("/ends/{how}/{item_id}")
def end(how: str, item_id: int, tx: SyncTx) -> Any:
    put(tx, item_id)
    on_commit(tx, lambda: seen.append(item_id))
    if how == "answers-409":
        return JSONResponse({"said": "no"}, 409)
    if how == "raises":
        raise problems.NotFound
    if how == "cancelled":
        raise CancelledError
    return {}


@router.post("/orphan/{part_id}")
def orphan(part_id: int, tx: SyncTx) -> dict[str, int]:
    tx.execute(text("INSERT INTO part (id, item_id) VALUES (:id, 999)"), {"id": part_id})
    on_commit(tx, lambda: seen.append("orphan"))
    return {"id": part_id}


@router.post("/increment")
def increment(tx: SyncTx) -> dict[str, int]:
    query = "SELECT n FROM item WHERE id = 1"
    lock = "" if tx.get_bind().dialect.name == "sqlite" else " FOR UPDATE"
    n = tx.execute(text(query + lock)).scalar_one()
    time.sleep(0.001)
    tx.execute(text("UPDATE item SET n = :n WHERE id = 1"), {"n": n + 1})
    return {"n": n + 1}


@router.post("/increment-retried")
def increment_retried(tx: Retried) -> dict[str, int]:
    n = tx.execute(text("SELECT n FROM item WHERE id = 1")).scalar_one()
    time.sleep(0.001)
    tx.execute(text("UPDATE item SET n = :n WHERE id = 1"), {"n": n + 1})
    return {"n": n + 1}


@router.get("/n")
def count(read: SyncRead) -> int:
    return int(read.execute(text("SELECT n FROM item WHERE id = 1")).scalar_one())


@router.post("/background/{item_id}")
def background(item_id: int, tx: SyncTx, tasks: BackgroundTasks, request: Request) -> None:
    db = find(request, Database)

    def look(who: str) -> None:
        with db.read_sync() as read:
            seen.append([who, item_id in ids(read)])
        print(who, "has looked", flush=True)  # noqa: T201 - tests wait for it

    put(tx, item_id)
    on_commit(tx, lambda: look("on_commit"))
    tasks.add_task(look, "background")


@router.post("/callback-fails/{item_id}")
def callback_fails(item_id: int, tx: SyncTx) -> dict[str, int]:
    def fail() -> None:
        raise LookupError("the callback is broken")

    put(tx, item_id)
    on_commit(tx, fail)
    return {"id": item_id}


@router.get("/stream")
def stream(tx: SyncTx) -> StreamingResponse:
    def rows() -> Iterator[str]:
        yield "first "
        try:
            tx.execute(text("SELECT 1"))
        except Exception as error:
            yield f"{type(error).__name__}: {error}"

    return StreamingResponse(rows())


@router.get("/long-stream")
def long_stream(tx: SyncTx) -> StreamingResponse:
    tx.execute(text("SELECT 1"))
    return StreamingResponse(iter([b"x" * 1_000_000] * 100))


@router.get("/jsonl")
def jsonl(tx: SyncTx) -> Iterator[str]:
    try:
        tx.execute(text("SELECT 1"))
    except Exception as error:
        yield type(error).__name__


@router.get("/hold/{milliseconds}")
def hold(milliseconds: int, tx: SyncTx) -> dict[str, int]:
    tx.execute(text("SELECT n FROM item WHERE id = 1"))
    time.sleep(milliseconds / 1000)
    return {}


@router.post("/slow/{item_id}")
def slow(item_id: int, tx: SyncTx) -> None:
    put(tx, item_id)
    print("handler is waiting", flush=True)  # noqa: T201 - tests wait for it
    try:
        while True:
            time.sleep(0.05)
            tx.execute(text("SELECT 1"))
    except BaseException as error:
        print("handler was cancelled:", error, flush=True)  # noqa: T201 - tests wait for it
        raise


@router.get("/endless")
def endless(read: SyncRead) -> None:
    read.execute(text(SLEEP[read.get_bind().dialect.name]))


@router.post("/endless")
def endless_write(tx: SyncTx) -> None:
    put(tx, 777)
    tx.execute(text(SLEEP[tx.get_bind().dialect.name]))


@router.post("/checked/{number}")
def checked(number: int, body: Annotated[dict[str, int], Body()], tx: SyncTx) -> None: ...


@router.post("/swallow/{item_id}")
def swallow(item_id: int, tx: SyncTx) -> dict[str, int]:
    put(tx, item_id)
    try:
        put(tx, item_id)
    except Exception:
        seen.append("swallowed")
    return {"id": item_id}


@router.post("/savepoint/{item_id}")
def savepoint(item_id: int, tx: SyncTx) -> dict[str, int]:
    put(tx, item_id)
    try:
        with tx.begin_nested():
            put(tx, item_id)
    except Exception:
        seen.append("expected")
    return {"id": item_id}


def swallowing(tx: SyncTx) -> Iterator[Session]:
    try:
        yield tx
    except Exception:
        seen.append("dependency swallowed")


@router.post("/swallowing-dependency/{item_id}")
def use_swallowing(
    item_id: int, tx: Annotated[Session, Depends(swallowing, scope="function")]
) -> None:
    put(tx, item_id)
    raise LookupError


@router.post("/explicit/{item_id}")
def explicit(item_id: int, tx: SyncTx) -> None:
    put(tx, item_id)
    tx.commit()
    raise problems.NotFound


@router.post("/broken-rollback/{item_id}")
def broken_rollback(item_id: int, tx: SyncTx, request: Request) -> None:
    engine = find(request, Database).engine.sync_engine

    @event.listens_for(engine, "rollback", once=True)
    def fail(_: Any) -> None:
        raise ConnectionResetError("the rollback is broken")

    put(tx, item_id)
    raise problems.NotFound


def in_async_dependency(tx: Tx) -> Session:
    return tx.sync_session


@router.get("/joined")
def joined(
    tx: SyncTx, other: Retried, third: Annotated[Session, Depends(in_async_dependency)]
) -> bool:
    return tx is other is third


def look_first(tx: SyncTx) -> int:
    """A thread of its own, which has the connection when it ends: as who looks up a user."""
    return int(tx.execute(text("SELECT n FROM item WHERE id = 1")).scalar_one())


@router.post("/two-threads/{milliseconds}")
def two_threads(
    milliseconds: int, tx: SyncTx, first: Annotated[int, Depends(look_first)]
) -> dict[str, int]:
    time.sleep(milliseconds / 1000)
    tx.execute(text("UPDATE item SET n = n + 1 WHERE id = 1"))
    return {"first": first}


@router.get("/own-unit/{milliseconds}")
def own_unit(milliseconds: int, request: Request) -> Iterator[int]:
    with find(request, Database).read_sync() as read:
        for item_id in ids(read):
            time.sleep(milliseconds / 1000)
            yield item_id


@router.post("/unit-behind-the-answer/{item_id}")
def unit_behind_the_answer(item_id: int, tasks: BackgroundTasks, request: Request) -> None:
    db = find(request, Database)

    def work() -> None:
        with db.begin_sync() as tx:
            put(tx, item_id)
            print("unit is open", flush=True)  # noqa: T201 - tests wait for it
            time.sleep(2)

    tasks.add_task(work)


@router.get("/threads")
async def threads() -> int:
    return int(current_default_thread_limiter().borrowed_tokens)


async def cancelling(seconds: float) -> AsyncIterator[None]:
    """Cancel the request after a while, as who gives it a time does."""
    task = asyncio.current_task()
    assert task
    timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        yield
    finally:
        timer.cancel()


@router.post("/cancelled/{item_id}", dependencies=[Depends(cancelling, scope="function")])
def cancelled(item_id: int, tx: SyncTx, how: str) -> None:
    try:
        put(tx, item_id)
        if how == "in-statement":
            tx.execute(text(SLEEP[tx.get_bind().dialect.name]))
        else:
            time.sleep(1)
            put(tx, item_id + 1)
        tx.commit()
    except BaseException as error:
        print("thread was told:", repr(error), flush=True)  # noqa: T201 - tests wait for it
        raise
    print("thread knows of nothing", flush=True)  # noqa: T201 - no test wants it


def create_app() -> FastAPI:
    seconds = {
        name: timedelta(seconds=float(os.environ[name.upper()]))
        for name in ("max_wait", "statement_timeout", "drain")
        if name.upper() in os.environ
    }
    size = int(os.environ.get("POOL_SIZE", "5"))
    db = Database(os.environ["URL"], pool_size=size, **seconds)
    app = FastAPI(lifespan=lifespan(db, Prepared(db)))
    problems.install(app)
    app.include_router(router)
    return app


assert service.seen is seen
