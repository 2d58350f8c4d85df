"""A service that takes files piece by piece: what the tests of resumable uploads serve."""

import asyncio
import os
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import String, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_once
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from roadworthy import problems
from roadworthy.database import Database, Read, Tx
from roadworthy.lifespan import find, lifespan
from roadworthy.problems import Conflict, Problem
from roadworthy.uploads import Disk, Files, FileType, GiB, Stored, Upload
from roadworthy.uploads.resumable import TUS_HEADERS, Resumable
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected

SECOND = timedelta(seconds=1)


class Whole:
    """A file is whole when it ends with a full stop."""

    def __init__(self) -> None:
        self.last = b""

    def feed(self, data: Data) -> None:
        self.last = bytes(data[-1:]) or self.last

    def finish(self) -> None:
        if self.last != b".":
            raise Rejected("truncated", "It has no full stop.")


LETTERS = FileType(
    "text/x-letters", ".letters", lambda head: head.startswith(b"letters"), Whole, ("text/plain",)
)


class Row(DeclarativeBase):
    pass


class FileRow(Row):
    __tablename__ = "files"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    filename: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))


class RunRow(Row):
    """One run of the endpoint, whether its file was kept or not."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200))


class Denied(Problem):
    """Who asks has not said who they are."""

    status = 401


async def caller(authorization: Annotated[str, Header()] = "") -> str:
    if not authorization.startswith("Bearer "):
        raise Denied
    return authorization.removeprefix("Bearer ")


async def numbered(x_number: Annotated[int, Header()] = 0) -> None:
    """Ask for a header that may be wrong."""


class Tables:
    """Make the tables, and know the files that rows name."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def __aenter__(self) -> "Tables":
        async with self.db.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def known(self, keys: Sequence[str]) -> Collection[str]:
        async with self.db.read() as session:
            return list(await session.scalars(select(FileRow.key).where(FileRow.key.in_(keys))))

    async def note_run(self, key: str) -> int:
        """Count this run of the endpoint, in a transaction of its own."""
        async with self.db.engine.begin() as connection:
            await connection.execute(insert(RunRow).values(key=key))
            runs = await connection.scalars(select(RunRow.id).where(RunRow.key == key))
            return len(runs.all())


def create_app() -> FastAPI:
    upload = Upload(
        max_bytes=int(os.environ.get("MAX_BYTES", 4 * GiB)),
        accept=(LETTERS,),
        idle=float(os.environ.get("IDLE", "15")) * SECOND,
    )
    lifetime = float(os.environ.get("LIFETIME", "86400")) * SECOND
    db = Database(os.environ["DATABASE_URL"])
    max_in_flight = int(os.environ.get("MAX_IN_FLIGHT", 16 * GiB))
    store = Disk(os.environ["FILES"])
    files = Files(store, max_in_flight=max_in_flight, unfinished_for=lifetime)
    app = FastAPI(lifespan=lifespan(db, files, Tables(db)), max_body_size=1024)
    problems.install(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["https://shop.example"],
        allow_methods=["GET", "POST", "PATCH", "HEAD", "DELETE"],
        allow_headers=TUS_HEADERS,
        expose_headers=TUS_HEADERS,
    )
    app.include_router(_open(upload))
    app.include_router(_private(upload), dependencies=[Depends(caller), Depends(numbered)])
    app.include_router(_inspection())
    return app


def _open(upload: Upload) -> APIRouter:
    resumable = Resumable(upload, path="/files")

    @resumable.router.patch("/{upload_id}", status_code=204, response_model=None)
    async def add(
        file: Annotated[Stored, resumable.file], tx: Tx, request: Request, answer: str = ""
    ) -> Response | None:
        runs = await find(request, Tables).note_run(file.key)
        row = {
            "key": file.key,
            "filename": file.filename,
            "media_type": file.media_type,
            "size": file.size_bytes,
            "sha256": file.sha256,
        }
        await tx.execute(insert_once(FileRow).values(row).on_conflict_do_nothing())
        _raise(answer, runs)
        if answer == "commit, then fail once" and runs == 1:
            await tx.commit()
            raise RuntimeError("a bug")
        if answer.isdecimal() and runs == 1:
            return Response(status_code=int(answer))
        if answer == "slowly":
            await asyncio.sleep(1)
        if answer == "die once" and runs == 1:
            await tx.commit()
            os._exit(9)
        return None

    return resumable.router


def _raise(answer: str, runs: int) -> None:
    if answer == "refuse" or (answer == "refuse again" and runs > 1):
        raise Conflict
    if answer == "fail once" and runs == 1:
        raise RuntimeError("a bug")


def _private(upload: Upload) -> APIRouter:
    resumable = Resumable(upload, path="/private", owner=caller)

    @resumable.router.patch("/{upload_id}", status_code=204)
    async def add_privately(
        file: Annotated[Stored, resumable.file], count: Annotated[int, Query()] = 1
    ) -> None:
        pass

    return resumable.router


def _inspection() -> APIRouter:
    router = APIRouter()

    @router.get("/rows")
    async def rows(read: Read) -> list[dict[str, Any]]:
        found = await read.execute(select(*FileRow.__table__.columns))
        return [dict(row._mapping) for row in found]

    @router.get("/runs")
    async def runs(read: Read) -> list[str]:
        return list(await read.scalars(select(RunRow.key).order_by(RunRow.id)))

    @router.post("/sweep")
    async def sweep(request: Request, seconds: float = 0) -> int:
        known = find(request, Tables).known
        return await find(request, Files).sweep(known, older_than=seconds * SECOND)

    @router.post("/reset")
    async def reset(tx: Tx) -> None:
        for table in Row.metadata.sorted_tables:
            await tx.execute(table.delete())

    @router.get("/in-flight")
    async def in_flight(request: Request) -> int:
        return find(request, Files).in_flight

    return router
