"""A service that takes files: what the tests of uploads serve in a process of its own."""

import logging
import os
import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from roadworthy import idempotency, problems
from roadworthy.database import Database, Tx, transaction
from roadworthy.idempotency import Idempotency
from roadworthy.lifespan import find, lifespan
from roadworthy.problems import Conflict, Problem
from roadworthy.uploads import Files, FileType, Form, KiB, MiB, Stored, Upload
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from uploads.faulty import Faulty

SECONDS = timedelta(seconds=1)


class Letters:
    """Judge a file of letters: no digit may be in it, and it ends with a full stop."""

    def __init__(self) -> None:
        self.last = b""

    def feed(self, data: Data) -> None:
        self.last = bytes(data[-1:]) or self.last
        if b"7" in bytes(data):
            raise Rejected("a_seven", "It has a seven in it.")

    def finish(self) -> None:
        if self.last != b".":
            raise Rejected("truncated", "It has no full stop.")


class Slowly(Letters):
    """Take longer for the first bytes than a client may take for all."""

    def feed(self, data: Data) -> None:
        time.sleep(0 if self.last else 2.5)
        super().feed(data)


LETTERS = FileType(
    "text/x-letters", ".letters", lambda head: head.startswith(b"letters"), Letters, ("text/plain",)
)
SLOW = FileType("text/x-slow", ".slow", lambda head: head.startswith(b"slow"), Slowly)

documents = Upload(max_bytes=1 * MiB, accept=(LETTERS,), max_fields=3, max_field_bytes=1 * KiB)
several = Upload(max_bytes=1 * MiB, accept=(LETTERS,), max_files=1000, max_total_bytes=2 * MiB)
hurried = Upload(max_bytes=1 * MiB, accept=(LETTERS,), idle=1 * SECONDS, min_rate=64 * KiB)
brief = Upload(max_bytes=1 * MiB, accept=(LETTERS, SLOW), timeout=2 * SECONDS, min_rate=0)
patient = Upload(max_bytes=1 * MiB, accept=(LETTERS,), idle=timedelta(seconds=60), min_rate=0)
huge = Upload(max_bytes=2048 * MiB, accept=(LETTERS,))
once = Idempotency(Tx)


class Row(DeclarativeBase):
    pass


class DocumentRow(Row):
    __tablename__ = "documents"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    size: Mapped[int]


class Denied(Problem):
    """Who asks has not said who they are."""

    status = 401


async def caller(authorization: Annotated[str | None, Header()] = None) -> str:
    if authorization != "Bearer good":
        raise Denied
    return "ann"


Caller = Annotated[str, Depends(caller)]


class Tables:
    """Make the tables, and sweep at the start where the environment says so."""

    def __init__(self, db: Database, files: Files) -> None:
        self.db, self.files = db, files

    async def __aenter__(self) -> "Tables":
        async with self.db.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
            await connection.run_sync(idempotency.metadata.create_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def known(self, keys: Sequence[str]) -> Collection[str]:
        async with self.db.read() as session:
            return list(
                await session.scalars(select(DocumentRow.key).where(DocumentRow.key.in_(keys)))
            )


class Title(BaseModel):
    title: str
    tags: list[str] = []


router = APIRouter()


async def needed(x_token: Annotated[int, Header()]) -> str:
    return str(x_token)


@router.post("/documents", status_code=201)
async def add(file: Annotated[Stored, documents.file], tx: Tx, fail: str = "") -> dict[str, Any]:
    tx.add(DocumentRow(key=file.key, size=file.size_bytes))
    if fail == "refuse":
        raise Conflict
    if fail == "answer":
        return Response(status_code=409)  # type: ignore[return-value]
    if fail == "answer 503":
        return Response(status_code=503)  # type: ignore[return-value]
    if fail == "crash":
        raise RuntimeError("a bug")
    return _shown(file)


@router.post("/private", status_code=201)
async def add_privately(
    file: Annotated[Stored, documents.file], caller: Caller, count: Annotated[int, Query()] = 1
) -> dict[str, Any]:
    return _shown(file)


@router.post("/private-header", status_code=201)
async def add_with_header(
    file: Annotated[Stored, documents.file], token: Annotated[str, Depends(needed)]
) -> dict[str, Any]:
    return _shown(file)


@router.post("/raw", status_code=201)
async def add_raw(file: Annotated[Stored, documents.raw]) -> dict[str, Any]:
    return _shown(file)


@router.post("/once", status_code=201, dependencies=[once.key])
async def add_once(file: Annotated[Stored, huge.raw], tx: Tx) -> dict[str, Any]:
    return _shown(file)


@router.post("/several", status_code=201)
async def add_several(files: Annotated[list[Stored], several.all]) -> list[dict[str, Any]]:
    return [_shown(file) for file in files]


@router.post("/form", status_code=201)
async def add_form(form: Annotated[Form, documents.form]) -> dict[str, Any]:
    return {"fields": form.read(Title), "files": [_shown(file) for file in form.files]}


@router.post("/hurried", status_code=201)
async def add_hurriedly(file: Annotated[Stored, hurried.file]) -> dict[str, Any]:
    return _shown(file)


@router.post("/brief", status_code=201)
async def add_briefly(file: Annotated[Stored, brief.file]) -> dict[str, Any]:
    return _shown(file)


@router.post("/patient", status_code=201)
async def add_patiently(file: Annotated[Stored, patient.file]) -> dict[str, Any]:
    return _shown(file)


@router.post("/huge", status_code=201)
async def add_huge(file: Annotated[Stored, huge.file]) -> dict[str, Any]:
    return _shown(file)


async def reading(request: Request, keep: bool = False) -> None:
    if keep:
        await request.body()
    else:
        async for _ in request.stream():
            pass


@router.post("/read-before", status_code=201, dependencies=[Depends(reading)])
async def add_what_was_read(file: Annotated[Stored, documents.file]) -> dict[str, Any]:
    return _shown(file)


mounted = FastAPI()


@mounted.post("/documents", status_code=201)
async def add_unseen(file: Annotated[Stored, documents.file]) -> dict[str, Any]:
    return _shown(file)


runs = set[str]()


@router.post("/again", status_code=201)
async def add_again(
    file: Annotated[Stored, documents.file],
    tx: Annotated[AsyncSession, transaction(attempts=3)],
) -> dict[str, Any]:
    if file.key not in runs:
        runs.add(file.key)
        raise _serialization_failure()
    return {**_shown(file), "run_again": True}


@router.get("/documents")
async def listed(tx: Tx) -> list[str]:
    return list(await tx.scalars(select(DocumentRow.key)))


@router.post("/sweep")
async def sweep(request: Request, seconds: float = 0) -> int:
    files = find(request, Files)
    return await files.sweep(find(request, Tables).known, older_than=timedelta(seconds=seconds))


@router.post("/faults")
async def fail_at(request: Request, name: Annotated[list[str], Query()] = []) -> None:  # noqa: B006
    store: Any = find(request, Files).store
    store.failing = set(name)


@router.get("/in-flight")
async def in_flight(request: Request) -> int:
    return find(request, Files).in_flight


def create_app() -> FastAPI:
    logging.basicConfig(level=logging.INFO)
    db = Database(os.environ["DATABASE_URL"])
    max_in_flight = int(os.environ.get("MAX_IN_FLIGHT", str(2**40)))
    files = Files(Faulty(os.environ["FILES"]), max_in_flight=max_in_flight)
    app = FastAPI(lifespan=lifespan(db, files, Tables(db, files)), max_body_size=1024)
    problems.install(app)
    app.include_router(router)
    app.mount("/mounted", mounted)
    return app


def _serialization_failure() -> Exception:
    from sqlalchemy.exc import OperationalError

    class Failure(Exception):
        sqlstate = "40001"

    return OperationalError("COMMIT", {}, Failure("could not serialize"))


def _shown(file: Stored) -> dict[str, Any]:
    return {
        "key": file.key,
        "filename": file.filename,
        "media_type": file.media_type,
        "size": file.size_bytes,
        "sha256": file.sha256,
    }
