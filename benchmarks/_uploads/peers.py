"""The services that are measured: the same routes, by five hands.

All of them keep each file under a name of their own in one folder, and answer with its
sha256. `POST /files` takes one file, `POST /many` up to 1,000; `POST /private` has a
dependency that refuses every caller; `GET /ping` is the unrelated request.
"""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, UploadFile

MIB = 1024 * 1024
GIB = 1024 * MIB
MOST_FILES = 1_000
IDLE_SECONDS = 3
LIMITED = 5 * MIB
LIMIT_BATCH = 256 * 1024


def nobody() -> None:
    raise HTTPException(401)


async def ping() -> dict[str, str]:
    return {"status": "ok"}


# --- ours -----------------------------------------------------------------------------


class Nothing:
    """Inspect nothing: what an inspector costs is shown beside it."""

    def feed(self, data: Any, /) -> None:
        pass

    def finish(self) -> None:
        pass


def roadworthy(folder: Path) -> FastAPI:
    from roadworthy import problems
    from roadworthy.lifespan import lifespan
    from roadworthy.uploads import Disk, Files, FileType, Stored, Upload

    blob = FileType(
        "application/x-blob", ".blob", lambda head: head.startswith(b"BLOB"), inspector=Nothing
    )
    accept = (blob, *real_types())
    one = Upload(max_bytes=GIB, accept=accept, idle=timedelta(seconds=IDLE_SECONDS), max_fields=4)
    many = Upload(max_bytes=GIB, accept=accept, max_files=MOST_FILES)
    limited = Upload(max_bytes=LIMITED, accept=accept)
    app = FastAPI(lifespan=lifespan(Files(Disk(folder))))

    @app.post("/files")
    async def take(file: Annotated[Stored, one.file]) -> list[str]:
        return [file.sha256]

    @app.post("/many")
    async def take_many(files: Annotated[list[Stored], many.all]) -> list[str]:
        return [file.sha256 for file in files]

    @app.post("/limited")
    async def take_limited(file: Annotated[Stored, limited.file]) -> list[str]:
        return [file.sha256]

    @app.post("/private", dependencies=[Depends(nobody)])
    async def take_private(file: Annotated[Stored, one.file]) -> list[str]:
        return [file.sha256]

    app.get("/ping")(ping)
    problems.install(app)
    return app


def real_types() -> tuple[Any, ...]:
    """Return the types whose inspectors read hundreds of MiB, as far as they are there."""
    from roadworthy.uploads import types

    return tuple(getattr(types, name) for name in ("PDF", "ZIP", "TEXT") if hasattr(types, name))


# --- FastAPI, as people write it ------------------------------------------------------


def fastapi(folder: Path) -> FastAPI:
    app = FastAPI()

    @app.post("/files")
    async def take(file: UploadFile) -> list[str]:
        return [await copy(file, folder)]

    @app.post("/many")
    async def take_many(file: list[UploadFile]) -> list[str]:
        return [await copy(one, folder) for one in file]

    @app.post("/limited")
    async def take_limited(file: UploadFile) -> list[str]:
        if (file.size or 0) > LIMITED:
            raise HTTPException(413)
        return [await copy(file, folder)]

    @app.post("/private", dependencies=[Depends(nobody)])
    async def take_private(file: UploadFile) -> list[str]:
        return [await copy(file, folder)]

    app.get("/ping")(ping)
    return app


async def copy(file: Any, folder: Path) -> str:
    """Read 1 MiB at a time, in a loop, as the answers to this question do."""
    digest = hashlib.sha256()
    with (folder / secrets.token_hex(16)).open("wb") as kept:
        while piece := await file.read(MIB):
            digest.update(piece)
            kept.write(piece)
    return digest.hexdigest()


# --- Litestar -------------------------------------------------------------------------


def litestar(folder: Path) -> Any:
    from litestar import Litestar, get, post
    from litestar.datastructures import UploadFile as File
    from litestar.enums import RequestEncodingType
    from litestar.exceptions import NotAuthorizedException
    from litestar.params import Body

    form = Body(media_type=RequestEncodingType.MULTI_PART)

    def refuse(*_: object) -> None:
        raise NotAuthorizedException

    @post("/files", request_max_body_size=None, status_code=200)
    async def take(data: Annotated[dict[str, File], form]) -> list[str]:
        return [await copy(data["file"], folder)]

    @post("/many", request_max_body_size=None, status_code=200)
    async def take_many(data: Annotated[dict[str, list[File]], form]) -> list[str]:
        return [await copy(file, folder) for file in data["file"]]

    @post("/limited", request_max_body_size=LIMITED, status_code=200)
    async def take_limited(data: Annotated[dict[str, File], form]) -> list[str]:
        return [await copy(data["file"], folder)]

    @post("/private", request_max_body_size=None, guards=[refuse], status_code=200)
    async def take_private(data: Annotated[dict[str, File], form]) -> list[str]:
        return [await copy(data["file"], folder)]

    @get("/ping")
    async def pong() -> dict[str, str]:
        return await ping()

    handlers = [take, take_many, take_limited, take_private, pong]
    return Litestar(handlers, multipart_form_part_limit=MOST_FILES + 24, openapi_config=None)


# --- the limit ------------------------------------------------------------------------


Write = Callable[[Path, AsyncIterator[bytes]], Any]


def limit(folder: Path, write: Write) -> FastAPI:
    """Keep the body as it is, framing included: nothing is parsed, told or refused."""
    app = FastAPI()

    @app.post("/files")
    async def take(request: Request) -> list[str]:
        return [await write(folder / secrets.token_hex(16), request.stream())]

    app.get("/ping")(ping)
    return app


async def write_pieces(path: Path, pieces: AsyncIterator[bytes], *, sync: bool = False) -> str:
    """Hash and write each piece as it comes, in the event loop."""
    digest = hashlib.sha256()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        async for piece in pieces:
            digest.update(piece)
            os.write(file, piece)
        if sync:
            os.fsync(file)
    finally:
        os.close(file)
    return digest.hexdigest()


async def write_batches(path: Path, pieces: AsyncIterator[bytes], *, sync: bool = False) -> str:
    """The same, one `writev` for 256 KiB."""
    digest = hashlib.sha256()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    held: list[bytes] = []
    count = 0
    try:
        async for piece in pieces:
            digest.update(piece)
            held.append(piece)
            count += len(piece)
            if count >= LIMIT_BATCH:
                os.writev(file, held)
                held, count = [], 0
        os.writev(file, held)
        if sync:
            os.fsync(file)
    finally:
        os.close(file)
    return digest.hexdigest()


async def write_synced(path: Path, pieces: AsyncIterator[bytes]) -> str:
    return await write_pieces(path, pieces, sync=True)


async def write_nothing(path: Path, pieces: AsyncIterator[bytes]) -> str:
    """Only receive: for a profile."""
    async for _ in pieces:
        pass
    return ""


OURS, LIMIT, SYNCED = "**roadworthy.uploads**", "the limit", "the limit, with fsync"
FASTAPI, LITESTAR = "FastAPI, `UploadFile`", "Litestar, `UploadFile`"

PEERS: dict[str, Callable[[Path], Any]] = {
    OURS: roadworthy,
    FASTAPI: fastapi,
    LITESTAR: litestar,
    LIMIT: lambda folder: limit(folder, write_pieces),
    SYNCED: lambda folder: limit(folder, write_synced),
    "variant: batches": lambda folder: limit(folder, write_batches),
    "variant: only receive": lambda folder: limit(folder, write_nothing),
}


def serve(peer: str, port: str, folder: str) -> None:
    import uvicorn

    app = PEERS[peer](Path(folder))
    uvicorn.run(
        app, port=int(port), log_level="warning", access_log=False, http="httptools", loop="uvloop"
    )
