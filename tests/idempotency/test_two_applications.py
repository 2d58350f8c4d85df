"""One `Idempotency` serves several applications, and each asks its own database."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from roadworthy import idempotency, problems
from roadworthy.database import Database, SyncTx, Tx
from roadworthy.idempotency import Idempotency
from roadworthy.lifespan import lifespan

once, once_sync = Idempotency(Tx), Idempotency(SyncTx)


def service(url: str, name: str) -> FastAPI:
    app = FastAPI(lifespan=lifespan(Database(url)))
    problems.install(app)

    @app.post("/tables")
    async def tables(tx: Tx) -> None:
        await (await tx.connection()).run_sync(idempotency.metadata.create_all)

    @app.post("/orders", dependencies=[once.key])
    async def order(tx: Tx) -> str:
        return name

    @app.post("/sync-orders", dependencies=[once_sync.key])
    def order_sync(tx: SyncTx) -> str:
        return name

    return app


@pytest.mark.parametrize("path", ["/orders", "/sync-orders"])
def test_no_application_gives_the_answer_of_another(
    path: str, tmp_path: Path, postgres_url: str
) -> None:
    urls = [f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db", postgres_url]
    answers: list[Any] = []
    for name, url in zip("abc", urls, strict=True):
        with TestClient(service(url, name)) as client:
            client.post("/tables")
            key = {"Idempotency-Key": "one"}
            answers += [client.post(path, headers=key) for _ in range(2)]

    assert [answer.json() for answer in answers] == list("aabbcc")
    replayed = ["Idempotent-Replayed" in answer.headers for answer in answers]
    assert replayed == [False, True] * 3
