"""RW501: an upload is read to its end, however long it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.analyses.uploads import (
    Read,
    Upload,
    limits_all,
    limits_here,
    uploads_in,
    uploads_of,
)
from roadworthy.audit.dataflow.reach import steps
from roadworthy.audit.fastapi.routes import Route, routes_in
from roadworthy.audit.fastapi.service import Service
from roadworthy.audit.model.finding import Confidence, Severity, Step
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Module

__all__ = ["RULE"]


@dataclass(frozen=True, slots=True)
class _Collected:
    """What a module says of its uploads."""

    limits_all: bool
    seen: frozenset[tuple[str, int]]
    """The reads that routes lead to."""
    of_routes: tuple[Hit, ...]
    of_helpers: tuple[tuple[tuple[str, int], Hit], ...]


def _collect(module: Module) -> _Collected | None:
    limited = limits_all(module)
    seen: set[tuple[str, int]] = set()
    hits: list[Hit] = []
    here: set[int] = set()
    for route in routes_in(module):
        for upload in uploads_of(route):
            here.add(id(upload.function))
            reads = list(upload.reads)
            seen |= {read.key for read in reads}
            if not (_has_own_limit(route) or upload.is_limited):
                hits += [_hit(read, upload) for read in reads[:1]]
    helpers = [
        (read.key, _hit(read, upload))
        for upload in uploads_in(module)
        if id(upload.function) not in here and not upload.is_limited
        for read in list(upload.reads)[:1]
    ]
    if not (limited or seen or helpers):
        return None
    return _Collected(limited, frozenset(seen), tuple(hits), tuple(helpers))


def _has_own_limit(route: Route) -> bool:
    return route.option("max_body_size") is not None or limits_here(route.function.module)


def _hit(read: Read, upload: Upload) -> Hit:
    chain = read.frame.chain
    first = chain[0].call.node if chain else read.node
    what = "into memory" if read.to_memory else "to disk"
    return Hit(
        place=upload.function.place(first),
        message=(
            f"Whatever a client sends is copied {what}: nothing compares its size before, so "
            "one request can fill it and take the service down."
        ),
        confidence=_confidence(upload),
        flow=_flow(read, upload),
    )


def _confidence(upload: Upload) -> Confidence:
    """Return how sure it is: what an unknown dependency refuses before, nobody can tell."""
    if upload.route is None:
        return Confidence.LOW
    known = all(need.dependency is not None for need in upload.route.needs)
    return Confidence.HIGH if known else Confidence.MEDIUM


def _flow(read: Read, upload: Upload) -> tuple[Step, ...]:
    if not read.frame.chain:
        return ()
    way = steps(read.frame.chain[-1], f"{upload.function.name} gets the upload", upload.function)
    return (*way, Step(*read.key, "reads all of it"))


def _check(service: Service) -> Iterator[Hit]:
    said = [found for _, found in service.collected.get("RW501", ())]
    collected = [one for one in said if isinstance(one, _Collected)]
    if any(one.limits_all for one in collected):
        return
    seen = {key for one in collected for key in one.seen}
    helpers = [found for one in collected for found in one.of_helpers]
    seen |= {key for key, hit in helpers if hit.flow}
    for one in collected:
        yield from one.of_routes
    yield from (hit for key, hit in helpers if hit.flow or key not in seen)


_READ_THEN_COMPARED = Example(
    """
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()
MOST = 5 * 1024 * 1024

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    content = await photo.read()  # found
    if len(content) > MOST:
        raise HTTPException(413, "too large")
    return {"bytes": len(content)}
""",
    "It is compared when it is in memory already.",
)

_COPIED = Example("""
import shutil
from uuid import uuid4
from fastapi import APIRouter, UploadFile

router = APIRouter()

@router.post("/deliveries/notes")
def add_notes(notes: list[UploadFile]):
    for note in notes:
        with open(f"/srv/notes/{uuid4()}", "wb") as kept:
            shutil.copyfileobj(note.file, kept)  # found
    return {"notes": len(notes)}
""")

_AS_BYTES = Example("""
from typing import Annotated
from fastapi import FastAPI, File

app = FastAPI()

@app.post("/labels")
async def add_label(label: Annotated[bytes, File()]):  # found
    return {"bytes": len(label)}
""")

_IN_A_FORM = Example("""
from fastapi import FastAPI, HTTPException, Request

app = FastAPI()
MOST = 5 * 1024 * 1024

async def read(photo) -> dict:
    content = await photo.read()
    return {"content": content, "content_length": len(content)}

@app.post("/products/{number}/photos")
async def add_photos(number: int, request: Request):
    form = await request.form()
    for photo in form.getlist("photos"):
        content_length = (await read(photo))["content_length"]  # found
        if content_length > MOST:
            raise HTTPException(413, "too large")
    return {"number": number}
""")

_IN_A_SERVICE = Example(
    """
# file: warehouse/files.py
from fastapi import UploadFile

async def keep(document: UploadFile, path: str) -> None:
    with open(path, "wb") as kept:
        while chunk := await document.read(65536):
            kept.write(chunk)

# file: warehouse/api.py
from uuid import uuid4
from fastapi import APIRouter, File, UploadFile
from warehouse.files import keep

router = APIRouter()

@router.post("/documents")
async def add_document(document: UploadFile = File(...)):
    number = str(uuid4())
    await keep(document, f"/srv/documents/{number}")  # found
    return {"number": number}
""",
    "Chunks keep it out of memory, and fill the disk.",
)

_LIMITED_APP = Example("""
from fastapi import FastAPI, UploadFile

app = FastAPI(max_body_size=5 * 1024 * 1024)

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    return {"bytes": len(await photo.read())}
""")

_SIZE_COMPARED = Example("""
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()
MOST = 5 * 1024 * 1024

def check_size(upload: UploadFile) -> None:
    if upload.size is None or upload.size > MOST:
        raise HTTPException(413, "too large")

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    check_size(photo)
    return {"bytes": len(await photo.read())}
""")

_COUNTED = Example("""
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()
MOST = 5 * 1024 * 1024

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    content = bytearray()
    while chunk := await photo.read(65536):
        content += chunk
        if len(content) > MOST:
            raise HTTPException(413, "too large")
    return {"bytes": len(content)}
""")

_LIMITED_BY_MIDDLEWARE = Example("""
# file: shop/limits.py
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

class BodyLimit(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        declared = request.headers.get("content-length")
        if declared is None or int(declared) > 5_000_000:
            return Response(status_code=413)
        return await call_next(request)

# file: shop/app.py
from fastapi import FastAPI, UploadFile
from shop.limits import BodyLimit

app = FastAPI()
app.add_middleware(BodyLimit)

@app.post("/photos")
async def add_photo(photo: UploadFile):
    return {"bytes": len(await photo.read())}
""")

_SIZE_OF_THE_FILE = Example("""
import os
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()

@app.post("/documents")
async def add_document(document: UploadFile):
    size = os.fstat(document.file.fileno()).st_size
    if size > 5_000_000:
        raise HTTPException(413, "too long")
    return {"size": len(await document.read())}
""")

_BY_A_CLASS = Example(
    """
# file: shop/logos.py
from fastapi import UploadFile

class Shop:
    @classmethod
    async def change(cls, number: int, logo: UploadFile | None = None) -> None:
        if logo:
            await cls.keep(number, logo)

    @classmethod
    async def keep(cls, number: int, logo: UploadFile) -> None:
        kept[number] = await logo.read()

kept: dict[int, bytes] = {}
# file: shop/api.py
from fastapi import FastAPI, UploadFile
from shop.logos import Shop

app = FastAPI()

@app.patch("/shops/{number}")
async def change_shop(number: int, logo: UploadFile):
    await Shop.change(number, logo)  # found
    return {}
""",
    "Class methods hand it on.",
)

RULE: Final = Rule(
    code="RW501",
    name="unbounded-upload-read",
    severity=Severity.HIGH,
    looks="service",
    check=_check,
    collect=_collect,
    summary="An upload is read to its end, and nothing limits how long it is.",
    why="""FastAPI puts the whole body of an upload on disk before the route runs, and
`read()` puts it into memory: 200 MiB sent are 200 MiB of disk and as much memory again, for
each request. A comparison after reading comes too late. Limits of the application, of a
router, of middleware and of the route all count here.""",
    mend="FastAPI(max_body_size=...) (0.164), or compare file.size before reading.",
    ours="`Upload` of `roadworthy.uploads` counts while it streams, and stops at its limit.",
    bad=(_READ_THEN_COMPARED, _COPIED, _AS_BYTES, _IN_A_FORM, _IN_A_SERVICE, _BY_A_CLASS),
    good=(_LIMITED_APP, _SIZE_COMPARED, _COUNTED, _LIMITED_BY_MIDDLEWARE, _SIZE_OF_THE_FILE),
)
"""Finds uploads that are read without a limit of their size."""
