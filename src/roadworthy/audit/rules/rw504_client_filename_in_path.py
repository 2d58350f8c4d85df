"""RW504: a client chooses where its upload is written."""

from collections.abc import Iterator
from typing import Final

from roadworthy.audit.analyses.client_paths import opened
from roadworthy.audit.analyses.uploads import uploads_of
from roadworthy.audit.dataflow.reach import steps
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Severity, Step
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    for upload in uploads_of(route):
        found = opened(upload)
        if found is None:
            continue
        frame, call = found
        chain = frame.chain
        way: tuple[Step, ...] = ()
        if chain:
            way = steps(chain[-1], f"{upload.function.name} gets the upload", upload.function)
            way = (*way, Step(frame.function.module.path, call.lineno, "opens the path"))
        yield Hit(
            place=upload.function.place(chain[0].call.node if chain else call),
            message=(
                "The client's own name for its file is part of this path: with ../ in it, or "
                "as an absolute path, it is written outside the folder, over what is there."
            ),
            flow=way,
        )


_JOINED = Example("""
import os
from fastapi import FastAPI, UploadFile

app = FastAPI(max_body_size=1_000_000)

@app.post("/documents")
async def add_document(document: UploadFile):
    path = os.path.join("/srv/documents", document.filename)
    with open(path, "wb") as kept:  # found
        kept.write(await document.read())
    return {"name": document.filename}
""")

_IN_A_HELPER = Example("""
# file: shop/files.py
from pathlib import Path
from fastapi import UploadFile

FOLDER = Path("/srv/documents")

def path_of(name: str) -> Path:
    return FOLDER / name

async def keep(upload: UploadFile) -> None:
    path_of(upload.filename).write_bytes(await upload.read())

# file: shop/api.py
from fastapi import FastAPI, UploadFile
from shop import files

app = FastAPI(max_body_size=1_000_000)

@app.post("/documents")
async def add_document(document: UploadFile):
    await files.keep(document)  # found
    return {}

@app.post("/labels")
async def add_label(label: UploadFile):
    Path = files.Path(f"/srv/labels/{label.filename}")
    Path.write_bytes(await label.read())  # found
    return {}
""")

_OWN_NAME = Example("""
import os
from pathlib import Path
from uuid import uuid4
from fastapi import FastAPI, HTTPException, UploadFile
from werkzeug.utils import secure_filename

app = FastAPI(max_body_size=1_000_000)
FOLDER = Path("/srv/documents")

@app.post("/documents")
async def add_document(document: UploadFile):
    ending = os.path.splitext(document.filename)[1]
    (FOLDER / f"{uuid4()}{ending}").write_bytes(await document.read())
    return {"name": document.filename}

@app.post("/labels")
async def add_label(label: UploadFile):
    (FOLDER / secure_filename(label.filename)).write_bytes(await label.read())
    return {}

@app.post("/notes")
async def add_note(note: UploadFile):
    path = (FOLDER / note.filename).resolve()
    if not path.is_relative_to(FOLDER):
        raise HTTPException(422, "not a name")
    path.write_bytes(await note.read())
    return {}
""")

_NAMED_BY_A_HELPER = Example("""
# file: shop/files.py
from pathlib import Path
from fastapi import UploadFile

FOLDER = Path("/srv/photos")

def stamped(photo: UploadFile) -> str:
    name = photo.filename
    ending = name.split(".")[-1]
    return f"{name.replace(f'.{ending}', '_1')}.{ending}"

async def keep(photo: UploadFile) -> None:
    with open(FOLDER / stamped(photo), "wb") as kept:
        kept.write(await photo.read())

# file: shop/api.py
from fastapi import FastAPI, UploadFile
from shop import files

app = FastAPI(max_body_size=1_000_000)

@app.post("/photos")
async def add_photo(photo: UploadFile):
    await files.keep(photo)  # found
    return {}
""")

RULE: Final = Rule(
    code="RW504",
    name="client-filename-in-path",
    severity=Severity.HIGH,
    looks="route",
    check=_check,
    summary="An upload is written to a path that has the client's file name in it.",
    why="""FastAPI passes the name of an upload on as the client sent it, with `../`, with a
leading `/`, with anything. `os.path.join("/srv/uploads", "/etc/cron.d/x")` is
`/etc/cron.d/x`. Two clients with the same name also overwrite each other's files.""",
    mend="Name the file yourself (uuid4()), and keep the client's name as text.",
    ours="`Stored` of `roadworthy.uploads` has a key of its own and a display name.",
    bad=(_JOINED, _IN_A_HELPER, _NAMED_BY_A_HELPER),
    good=(_OWN_NAME,),
)
"""Finds paths of files that are made of a client's file name."""
