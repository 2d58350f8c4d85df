"""Starlette's BackgroundTasks, on their own."""

from fastapi import BackgroundTasks, FastAPI

from _jobs import common
from _jobs.peers import _service


def prepare(url: str) -> None:
    _service.prepare(url)
    common.result()


def serve(url: str, port: str) -> None:
    make_session, app = _service.sessions(url), FastAPI()

    async def record(key: str) -> None:
        async with make_session.begin() as tx:
            await _service.insert_row(tx, key)

    @app.post("/orders/{key}/{kind}", status_code=201)
    async def place(key: str, kind: str, tasks: BackgroundTasks) -> dict[str, str]:
        async with make_session.begin() as tx:
            await _service.insert_order(tx, key)
            tasks.add_task(_service.append_line, key)
            tasks.add_task(record, key)  # roadworthy: ignore[RW401] it is what is measured
            await _service.misbehave(kind)
        return {"key": key}

    _service.run(app, port)


def spin(_: str, port: str) -> None:
    app = FastAPI()

    @app.get("/ping")
    async def ping() -> dict[str, bool]:
        return {"ok": True}

    @app.post("/burn/{jobs}/{seconds}", status_code=202)
    async def start(jobs: int, seconds: float, tasks: BackgroundTasks) -> dict[str, bool]:
        for _ in range(jobs):
            tasks.add_task(_service.burn, seconds)
        return {"ok": True}

    _service.run(app, port)
