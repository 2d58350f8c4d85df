"""RW503: what an upload is is decided by what the client declares."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.upload_types import by_declared_type, looks_inside
from roadworthy.audit.analyses.uploads import uploads_of
from roadworthy.audit.dataflow.reach import steps
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    for upload in uploads_of(route):
        found = by_declared_type(upload)
        if found is None or looks_inside(upload, found):
            continue
        chain = found.frame.chain
        yield Hit(
            place=upload.function.place(chain[0].call.node if chain else found.node),
            message=(
                "The client declares what this upload is, and that decides: anything is "
                "accepted that is sent with an allowed Content-Type."
            ),
            confidence=Confidence.MEDIUM,
            flow=steps(chain[-1], f"{upload.function.name} gets the upload", upload.function)
            if chain
            else (),
        )


_COMPARED = Example("""
from fastapi import FastAPI, HTTPException, UploadFile
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)
ALLOWED = {"image/png", "image/jpeg"}

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    if photo.content_type not in ALLOWED:  # found
        raise HTTPException(415, "only pictures")
    return {"number": keep(await photo.read(), photo.content_type)}
""")

_IN_A_SERVICE = Example("""
# file: shop/photos.py
from fastapi import UploadFile
from shop.store import keep

async def add(photo: UploadFile) -> int:
    declared = (photo.content_type or "").lower()
    if not declared.startswith("image/"):
        raise ValueError("only pictures")
    return keep(await photo.read())

# file: shop/api.py
from fastapi import FastAPI, UploadFile
from shop import photos

app = FastAPI(max_body_size=1_000_000)

@app.post("/photos")
async def add_photo(photo: UploadFile):
    return {"number": await photos.add(photo)}  # found
""")

_BYTES_DECIDE = Example("""
import io
from fastapi import FastAPI, HTTPException, UploadFile
from PIL import Image
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)

@app.post("/photos")
async def add_photo(photo: UploadFile):
    if photo.content_type not in {"image/png"}:
        raise HTTPException(415, "only pictures")
    content = await photo.read()
    Image.open(io.BytesIO(content)).verify()
    return {"number": keep(content)}

@app.post("/documents")
async def add_document(document: UploadFile):
    return {"number": keep(await document.read(), document.content_type)}
""")

_IMPORTED_LATER = Example(
    """
# file: shop/imports.py
import asyncio
from fastapi import HTTPException, UploadFile
from openpyxl import load_workbook

running: set[asyncio.Task[None]] = set()

async def start(table: UploadFile) -> None:
    if table.content_type != "application/vnd.ms-excel":
        raise HTTPException(415, "only tables")
    task = asyncio.create_task(import_all(table))
    running.add(task)
    task.add_done_callback(running.discard)

async def import_all(table) -> None:
    for row in load_workbook(table.file).active.iter_rows():
        print(row)

# file: shop/api.py
from fastapi import FastAPI, UploadFile
from shop.imports import start

app = FastAPI(max_body_size=1_000_000)

@app.post("/prices")
async def add_prices(table: UploadFile):
    await start(table)
    return {}
""",
    "What is no table fails where it is opened, if only in a task.",
)

_OPENED_ELSEWHERE = Example(
    """
# file: shop/logos.py
import io
from fastapi import HTTPException
from PIL import Image

def set_logo(content: bytes, declared: str | None) -> None:
    if not declared or not declared.startswith("image/"):
        raise HTTPException(415, "only pictures")
    try:
        Image.open(io.BytesIO(content)).verify()
    except Exception as error:
        raise HTTPException(415, f"no picture: {error}") from error

# file: shop/api.py
import asyncio
import io
from fastapi import FastAPI, HTTPException, UploadFile
from PIL import Image
from shop import logos

app = FastAPI(max_body_size=1_000_000)

@app.post("/logo")
async def add_logo(logo: UploadFile):
    logos.set_logo(await logo.read(), logo.content_type)
    return {}

@app.post("/photos")
async def add_photo(photo: UploadFile):
    if photo.content_type != "image/png":
        raise HTTPException(415, "only pictures")
    opened = await asyncio.to_thread(Image.open, io.BytesIO(await photo.read()))
    return {"size": opened.size}
""",
    "The bytes are looked at where the type was compared, or in a thread.",
)

RULE: Final = Rule(
    code="RW503",
    name="upload-type-by-declared-content-type",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="An upload is accepted for its declared Content-Type, and nobody looks at its bytes.",
    why="""The Content-Type of an upload is text that the client chose, like its name. A page
with scripts that is sent as `image/png` passes and is served to others, while `IMAGE/PNG` and
`image/png; charset=binary` are refused, which are the same type.""",
    mend="Let the first bytes decide: filetype.guess(head), or puremagic.from_string(head).",
    ours="`Upload` of `roadworthy.uploads` decides by the bytes while it streams.",
    bad=(_COMPARED, _IN_A_SERVICE),
    good=(_BYTES_DECIDE, _IMPORTED_LATER, _OPENED_ELSEWHERE),
)
"""Finds uploads whose type is judged by the declared Content-Type."""
