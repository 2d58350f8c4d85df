"""Uploads and downloads in `def` routes: the store is asked on the event loop, from the thread."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from anyio import from_thread
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel

from roadworthy import problems
from roadworthy.database import Database, sync_transaction
from roadworthy.lifespan import find, lifespan
from roadworthy.problems import NotFound
from roadworthy.uploads import Disk, Files, Stored, Upload
from roadworthy.uploads.types import TEXT

upload = Upload(max_bytes=1000, accept=(TEXT,))
SessionDep = Annotated[Session, sync_transaction(session=Session)]


class Base(SQLModel, registry=registry()): ...


class Document(Base, table=True):
    key: str = Field(primary_key=True)
    filename: str | None
    media_type: str
    size_bytes: int
    sha256: str


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    files = Files(Disk(tmp_path / "files"))
    app = FastAPI(lifespan=lifespan(Database(f"sqlite:///{tmp_path}/a.db"), files))
    problems.install(app)

    @app.post("/documents", status_code=201, openapi_extra=upload.openapi)
    def add(file: Annotated[Stored, upload.file], session: SessionDep) -> Stored:
        Base.metadata.tables["document"].create(session.connection(), checkfirst=True)
        session.add(Document.model_validate(file, from_attributes=True))
        return file

    @app.get("/documents/{key:path}")
    def content(key: str, request: Request, session: SessionDep) -> Response:
        row = session.get(Document, key)
        if row is None:
            raise NotFound
        stored = Stored(**row.model_dump())
        return from_thread.run(find(request, Files).download, request, stored)

    with TestClient(app) as client:
        yield client


def test_a_file_is_kept_and_comes_back(client: TestClient):
    kept = client.post("/documents", files={"file": ("a.txt", b"one\ntwo\n", "text/plain")})

    assert kept.status_code == 201, kept.text
    assert client.get(f"/documents/{kept.json()['key']}").content == b"one\ntwo\n"


def test_a_file_that_is_too_large_leaves_nothing(client: TestClient, tmp_path: Path):
    refused = client.post("/documents", files={"file": ("a.txt", b"x" * 2000, "text/plain")})

    assert refused.status_code == 413
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
