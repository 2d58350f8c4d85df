"""RW502: what an upload is is decided by the end of its name."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.upload_types import by_declared_type, by_extension, looks_inside
from roadworthy.audit.analyses.uploads import uploads_of
from roadworthy.audit.dataflow.reach import steps
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    for upload in uploads_of(route):
        found = by_extension(upload)
        if found is None or by_declared_type(upload) is not None or looks_inside(upload, found):
            continue
        chain = found.frame.chain
        yield Hit(
            place=upload.function.place(chain[0].call.node if chain else found.node),
            message=(
                "Only the end of its name says what this upload is: whatever a client calls "
                "so is accepted, and later served or opened as that."
            ),
            confidence=Confidence.MEDIUM,
            flow=steps(chain[-1], f"{upload.function.name} gets the upload", upload.function)
            if chain
            else (),
        )


_ENDSWITH = Example("""
from pathlib import Path
from uuid import uuid4
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI(max_body_size=1_000_000)

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    if not photo.filename.endswith((".png", ".jpg")):  # found
        raise HTTPException(415, "only pictures")
    Path(f"/srv/photos/{uuid4()}").write_bytes(await photo.read())
    return {"number": number}
""")

_IN_A_HELPER = Example("""
# file: shop/files.py
import os

ALLOWED = {".pdf", ".txt"}

def is_document(name: str) -> bool:
    extension = os.path.splitext(name)[1].lower()
    return extension in ALLOWED

# file: shop/api.py
from fastapi import APIRouter, FastAPI, File, HTTPException, UploadFile
from shop.files import is_document
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)
router = APIRouter()

@router.post("/documents")
async def add_document(document: UploadFile = File(...)):
    if not is_document(document.filename):  # found
        raise HTTPException(415, "only documents")
    return {"number": keep(await document.read())}
""")

_SNIFFED = Example("""
import filetype
from fastapi import FastAPI, HTTPException, UploadFile
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)

@app.post("/products/{number}/photo")
async def add_photo(number: int, photo: UploadFile):
    content = await photo.read()
    if not photo.filename.endswith(".png") or not filetype.is_image(content):
        raise HTTPException(415, "only pictures")
    return {"number": keep(content)}
""")

_PARSED = Example("""
import csv
import io
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI(max_body_size=1_000_000)

@app.post("/products")
async def add_products(table: UploadFile):
    if not table.filename:
        raise HTTPException(422, "no name")
    if not table.filename.endswith(".csv"):
        raise HTTPException(415, "only tables")
    rows = csv.DictReader(io.StringIO((await table.read()).decode()))
    return {"rows": len(list(rows))}
""")

_ANYTHING_ASKED = Example(
    """
from fastapi import FastAPI, HTTPException, UploadFile
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)

async def add(file: UploadFile, kinds: list[str] | None = None) -> str:
    ending = file.filename.split(".")[-1]
    if kinds and ending not in kinds:
        raise HTTPException(415, "another kind")
    return keep(await file.read())

@app.post("/attachments")
async def add_attachment(attachment: UploadFile):
    return {"number": await add(attachment)}
""",
    "This route takes all kinds: it does not decide by the name.",
)

_TEXTS = Example(
    """
from fastapi import FastAPI, HTTPException, UploadFile
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)

@app.post("/scripts")
async def add_script(script: UploadFile):
    if not script.filename.endswith(".py"):
        raise HTTPException(415, "only Python")
    return {"number": keep(await script.read())}
""",
    "Nothing in a text says more of it than its name.",
)

_BOTH_COMPARED = Example("""
# file: shop/types.py
SIGNATURES = {"webp": b"RIFF", "gif": b"GIF8"}

def kind_of(head: bytes) -> str:
    return next((kind for kind, start in SIGNATURES.items() if head.startswith(start)), "")

async def check(file) -> None:
    ending = file.filename.rsplit(".", 1)[-1]
    if ending not in {"webp", "gif"}:
        raise ValueError("only pictures")
    if kind_of(await file.read(8)) != ending:
        raise ValueError("something else")

# file: shop/api.py
from fastapi import FastAPI, UploadFile
from shop.store import keep
from shop.types import check

app = FastAPI(max_body_size=1_000_000)

@app.post("/photos")
async def add_photo(photo: UploadFile):
    await check(photo)
    return {"number": keep(await photo.read())}
""")

_PROBED_IN_A_THREAD = Example("""
import tempfile
from pathlib import Path
from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.concurrency import run_in_threadpool
from shop.store import keep

app = FastAPI(max_body_size=1_000_000)

def is_film(path: Path) -> bool:
    return path.read_bytes()[4:8] == b"ftyp"

@app.post("/films")
async def add_film(film: UploadFile):
    if not film.filename.endswith(".mp4"):
        raise HTTPException(415, "only films")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        path.write_bytes(await film.read())
        if not await run_in_threadpool(is_film, path):
            raise HTTPException(415, "only films")
        return {"number": keep(path)}
""")

RULE: Final = Rule(
    code="RW502",
    name="upload-type-by-extension-only",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="An upload is accepted for the end of its name, and nobody looks at its bytes.",
    why="""The name of an upload is text that the client chose. A page with scripts that is
called `photo.png` passes, is stored, and is served to others; a program that opens it by its
name fails on it later. The first bytes of a file say what it is.""",
    mend="Let the first bytes decide: filetype.guess(head), or puremagic.from_string(head).",
    ours="`Upload` of `roadworthy.uploads` decides by the bytes while it streams.",
    bad=(_ENDSWITH, _IN_A_HELPER),
    good=(_SNIFFED, _PARSED, _ANYTHING_ASKED, _TEXTS, _BOTH_COMPARED, _PROBED_IN_A_THREAD),
)
"""Finds uploads whose type is judged by the ending of the file name."""
