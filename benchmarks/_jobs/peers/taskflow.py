"""fastapi-taskflow, whose queue is in memory and whose SQLite backend keeps snapshots."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_taskflow import ManagedBackgroundTasks, SqliteBackend, TaskManager
from fastapi_taskflow.models import TaskRecord, TaskStatus

from _jobs import common
from _jobs.peers import _service


def file_of(url: str) -> str:
    return url.partition("///")[2]


# --- the first proof ------------------------------------------------------------------


def prepare(url: str) -> None:
    _service.prepare(url)
    common.result()


def serve(url: str, port: str) -> None:
    make_session = _service.sessions(url)
    manager = TaskManager(
        snapshot_db=f"{file_of(url)}.tasks", snapshot_interval=0.5, requeue_pending=True
    )
    app = FastAPI()
    manager.init_app(app)

    @manager.task(retries=4, delay=2, persist=True, requeue_on_interrupt=True)
    async def append(key: str) -> None:
        await _service.append_line(key)

    @manager.task(retries=4, delay=2, persist=True, requeue_on_interrupt=True)
    async def record(key: str) -> None:
        async with make_session.begin() as tx:
            await _service.insert_row(tx, key)

    @app.post("/orders/{key}/{kind}", status_code=201)
    async def place(
        key: str,
        kind: str,
        tasks: Annotated[ManagedBackgroundTasks, Depends(manager.get_tasks)],
    ) -> dict[str, str]:
        async with make_session.begin() as tx:
            await _service.insert_order(tx, key)
            tasks.add_task(append, key)
            tasks.add_task(record, key)
            await _service.misbehave(kind)
        return {"key": key}

    _service.run(app, port)


# --- jobs per second ------------------------------------------------------------------


def fill(url: str, n: str) -> None:
    asyncio.run(_fill(url, int(n)))
    common.result()


async def _fill(url: str, n: int) -> None:
    backend, now = SqliteBackend(file_of(url)), datetime.now(UTC)
    records = [
        TaskRecord(
            task_id=str(uuid.uuid4()),
            func_name="noop",
            status=TaskStatus.PENDING,
            args=(i,),
            kwargs={},
            created_at=now,
        )
        for i in range(n)
    ]
    await backend.save_pending(records)


def work(url: str, n: str) -> None:
    finished = "SELECT count(*) FROM task_snapshots WHERE status = 'success'"
    countdown = common.Countdown(
        int(n), lambda: int(n) - int(str(common.query(url, finished)[0][0]))
    )
    manager = TaskManager(snapshot_db=file_of(url), snapshot_interval=0.5, requeue_pending=True)

    @manager.task(persist=True)
    async def noop(n: int) -> None:
        countdown.done()

    async def main() -> None:
        countdown.start()
        await manager.startup()
        await asyncio.sleep(3600)

    asyncio.run(main())
