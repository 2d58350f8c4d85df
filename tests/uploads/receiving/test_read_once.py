"""A body is read once: who asks for it again is told what to type, and never waits."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.testclient import TestClient

from roadworthy import problems
from roadworthy.lifespan import lifespan
from roadworthy.uploads import Disk, Files, MiB, Stored, Upload
from roadworthy.uploads.types import TEXT

texts = Upload(max_bytes=MiB, accept=(TEXT,))
others = Upload(max_bytes=MiB, accept=(TEXT,))


async def same(request: Request) -> Request:
    return request


READING = {
    "body": lambda request: request.body(),
    "json": lambda request: request.json(),
    "form": lambda request: request.form(),
    "stream": lambda request: anext(aiter(request.stream())),
}


def app_with(tmp_path: Any, reader: Any, upload: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan(Files(Disk(tmp_path))))

    @app.post("/")
    async def read(
        file: Annotated[Stored, upload], request: Request, again: Annotated[Request, Depends(same)]
    ) -> list[str]:
        told = []
        for each in (request, again):
            async with asyncio.timeout(2):
                with pytest.raises(RuntimeError) as caught:
                    await reader(each)
            told.append(str(caught.value))
        return told

    problems.install(app)
    return app


@pytest.mark.parametrize(
    ("reader", "raw"),
    [*((reader, False) for reader in READING), ("body", True), ("json", True), ("stream", True)],
)
def test_a_handler_that_reads_the_body_again_is_told_where_it_is(tmp_path, reader, raw):
    app = app_with(tmp_path, READING[reader], texts.raw if raw else texts.file)
    sent = {"content": b"words"} if raw else {"files": {"file": ("a", b"words")}}
    with TestClient(app) as client:
        answer = client.post("/", **sent)

    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 2
    assert all("Annotated[Form, documents.form]" in told for told in answer.json())


def test_two_uploads_of_one_route_are_told_and_do_not_wait(tmp_path, caplog):
    app = FastAPI(lifespan=lifespan(Files(Disk(tmp_path))))

    @app.post("/")
    async def add(
        file: Annotated[Stored, texts.file], other: Annotated[Stored, others.file]
    ) -> None: ...

    problems.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/", files={"file": ("a", b"words")}, timeout=5)

    assert answer.status_code == 500
    assert "another Upload" in caplog.text


@pytest.mark.parametrize(
    "parameter",
    [
        Annotated[str, Form()],
        Annotated[dict[str, str], Body()],
        Annotated[bytes, File()],
        UploadFile,
    ],
)
def test_another_parameter_of_the_body_is_refused_at_the_start(tmp_path, parameter):
    app = FastAPI(lifespan=lifespan(Files(Disk(tmp_path))))

    async def add(file: Annotated[Stored, texts.file], title: Any) -> None: ...

    add.__annotations__["title"] = parameter
    app.post("/albums")(add)
    with pytest.raises(RuntimeError, match="/albums has an upload and another parameter"):
        TestClient(app).__enter__()


def test_what_was_read_before_can_be_read_again(tmp_path):
    app = FastAPI(lifespan=lifespan(Files(Disk(tmp_path))))

    async def reading(request: Request) -> None:
        await request.body()

    @app.post("/", dependencies=[Depends(reading)])
    async def add(file: Annotated[Stored, texts.raw], request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as client:
        assert client.post("/", content=b"words").json() == 5
