"""A service that has files looked at while they pass, and made anew before they are kept."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI

from roadworthy import problems
from roadworthy.lifespan import lifespan
from roadworthy.problems import ServiceUnavailable
from roadworthy.uploads import Check, Conversion, Disk, Files, MiB, Stored, Upload
from roadworthy.uploads.checks import Converted, Scan
from roadworthy.uploads.store import Batch
from roadworthy.uploads.types.inspecting.filetype import Rejected
from uploads.service import LETTERS


class Looking:
    """Find worms as they pass, and viruses in the whole."""

    def __init__(self) -> None:
        self.seen = b""

    async def feed(self, batch: Batch, /) -> None:
        self.seen += b"".join(batch)
        if b"worm" in self.seen:
            raise Rejected("worm", "It has a worm.")
        if b"away" in self.seen:
            raise ServiceUnavailable

    async def finish(self) -> None:
        if b"virus" in self.seen:
            raise Rejected("virus", "It has a virus.")


class Looked(Check):
    """How many files are looked at, and how many bytes there were of the last one."""

    looking = seen = 0

    @asynccontextmanager
    async def open(self, *, media_type: str) -> AsyncIterator[Scan]:
        assert media_type == "text/x-letters"
        self.looking += 1
        scan = Looking()
        try:
            yield scan
        finally:
            self.looking -= 1
            self.seen = len(scan.seen)


class Louder(Conversion):
    """Make the letters large."""

    async def convert(self, data: bytes, *, media_type: str) -> Converted:
        if b"quiet" in data:
            raise Rejected("quiet", "It should be quiet.")
        return Converted(data.upper(), "text/x-capitals", ".capitals")


looked = Looked()
checked = Upload(max_bytes=MiB, accept=(LETTERS,), checks=[looked])
louder = Upload(max_bytes=MiB, accept=(LETTERS,), conversions={LETTERS: Louder()}, checks=[looked])


async def add(file: Annotated[Stored, checked.file]) -> Stored:
    return file


async def add_louder(file: Annotated[Stored, louder.file]) -> Stored:
    return file


async def counts() -> dict[str, Any]:
    return {"looking": looked.looking, "seen": looked.seen}


def create_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan(Files(Disk(os.environ["FILES"]))))
    problems.install(app)
    app.post("/checked", status_code=201)(add)
    app.post("/louder", status_code=201)(add_louder)
    app.get("/counts")(counts)
    return app
