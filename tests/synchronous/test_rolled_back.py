"""A test of a synchronous service is rolled back, on the loop of its client."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

from roadworthy.database import Database, SyncRead, SyncTx
from roadworthy.lifespan import lifespan
from roadworthy.testing import rolled_back
from synchronous.models import User


def test_what_one_test_commits_no_other_sees(migrated_url: str):
    db = Database(migrated_url)
    app = FastAPI(lifespan=lifespan(db))

    @app.post("/users")
    def add(tx: SyncTx) -> None:
        tx.add(User(email="ann@example.com", hashed_password=""))

    @app.get("/users")
    def emails(read: SyncRead) -> list[str]:
        return list(read.scalars(select(User.email)))

    with TestClient(app) as client:
        for _ in range(2):
            assert client.portal is not None
            with client.portal.wrap_async_context_manager(rolled_back(db)):
                client.post("/users")
                assert client.get("/users").json() == ["ann@example.com"]
        assert client.get("/users").json() == []
