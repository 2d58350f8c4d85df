"""A service that serves the files of a directory, and can fail at it in every way."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Self

from fastapi import FastAPI, Request, Response

from roadworthy import problems
from roadworthy.uploads.serving.download import download
from roadworthy.uploads.store import FileMissing
from roadworthy.uploads.stored import KiB, Stored

TYPES = {
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".svg": "image/svg+xml",
    ".html": "text/html",
}


class Folder:
    """As much of a store as a download needs; it counts what is open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.open = self.opened = self.read = 0

    def reading(self, key: str) -> "Opened":
        return Opened(self, key)


class Opened:
    """A file that is read; what its name begins with says how it fails."""

    def __init__(self, folder: Folder, key: str) -> None:
        self.folder, self.key = folder, key
        self.file: BinaryIO | None = None

    async def __aenter__(self) -> Self:
        if self.key.startswith("away"):
            raise OSError(errno.ECONNREFUSED, "the store is away")
        try:
            self.file = (self.folder.directory / self.key).open("rb")
        except FileNotFoundError as missing:
            raise FileMissing(self.key) from missing
        status = os.fstat(self.file.fileno())
        self.size_bytes = status.st_size - self.key.startswith("other-size")
        self.modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
        self.folder.open += 1
        self.folder.opened += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)  # as others do, who close in a thread
        assert self.file
        self.file.close()
        self.folder.open -= 1

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        assert self.file
        self.file.seek(start)
        left = (self.size_bytes if end is None else end) - start
        while left:
            chunk = await asyncio.to_thread(self.file.read, min(left, 256 * KiB))
            left -= len(chunk)
            self.folder.read += len(chunk)
            yield chunk
            if self.key.startswith("breaks"):
                raise OSError(errno.EIO, "Input/output error")
            if self.key.startswith("short"):
                return
            if self.key.startswith("long"):
                yield b"more" * 65536


def create_app() -> FastAPI:
    directory = Path(os.environ["FILES"])
    folder = Folder(directory)
    app = FastAPI()
    if os.environ.get("CONTRACT", "yes") == "yes":
        problems.install(app)

    @app.api_route("/files/{name}", methods=["GET", "HEAD"])
    async def content(name: str, request: Request, inline: bool = False) -> Response:
        path = directory / name
        size = path.stat().st_size if path.exists() else 1
        data = path.read_bytes() if size < 1024 * KiB and path.exists() else b""
        stored = Stored(
            key=name,
            filename=request.query_params.get("called", name),
            media_type=TYPES.get(path.suffix, "application/octet-stream"),
            size_bytes=size,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        options: dict[str, Any] = {}
        if "cache" in request.query_params:
            options["cache_control"] = request.query_params["cache"]
        if "stalled" in request.query_params:
            options["stalled"] = timedelta(seconds=float(request.query_params["stalled"]))
        terms: Any = options
        return await download(folder, stored, request, inline=inline, **terms)

    @app.get("/counts")
    async def counts() -> dict[str, int]:
        return {"open": folder.open, "opened": folder.opened, "read": folder.read}

    return app
