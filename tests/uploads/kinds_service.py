"""A service with a route for each choice of types: what tests of honest files send theirs to."""

import os
from typing import Annotated, Any

from fastapi import FastAPI

from roadworthy import problems
from roadworthy.lifespan import lifespan
from roadworthy.uploads import Disk, Files, FileType, Form, MiB, Stored, Upload, types
from roadworthy.uploads.resumable import Resumable

OFFICE = (types.DOCX, types.XLSX, types.PPTX)
CHOICES: dict[str, tuple[FileType, ...]] = {
    name.lower(): (kind,)
    for name in types.__all__
    if isinstance(kind := getattr(types, name), FileType)
} | {
    "documents": (types.PNG, types.JPEG, types.PDF),
    "csv-text": (types.CSV, types.TEXT),
    "text-csv": (types.TEXT, types.CSV),
    "csv-xlsx": (types.CSV, types.XLSX),
    "json-lines": (types.JSON, types.NDJSON),
    "lines-json": (types.NDJSON, types.JSON),
    "office": OFFICE,
    "documents-office": (types.PDF, types.CSV, *OFFICE),
    "office-reversed": OFFICE[::-1],
    "office-zip": (*OFFICE, types.ZIP),
    "zip-office": (types.ZIP, *OFFICE),
    "pptx-zip": (types.PPTX, types.ZIP),
    "odf-zip": (types.ODT, types.ODS, types.ODP, types.ZIP),
    "everything": tuple(
        kind for name in types.__all__ if isinstance(kind := getattr(types, name), FileType)
    ),
}
"""What is taken, by the name of its routes."""


def create_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan(Files(Disk(os.environ["FILES"]))))
    problems.install(app)
    for name, accept in CHOICES.items():
        _add(app, f"/{name}", Upload(max_bytes=16 * MiB, accept=accept, max_files=3))
    return app


def _add(app: FastAPI, path: str, upload: Upload) -> None:
    @app.post(path, status_code=201)
    async def one(file: Annotated[Stored, upload.file]) -> Any:
        return _shown(file)

    @app.post(f"{path}/raw", status_code=201)
    async def raw(file: Annotated[Stored, upload.raw]) -> Any:
        return _shown(file)

    @app.post(f"{path}/form", status_code=201)
    async def form(form: Annotated[Form, upload.form]) -> Any:
        return {"files": [_shown(file) for file in form.files], "fields": form.fields}

    resumable = Resumable(upload, path=f"{path}/tus")

    @resumable.router.patch("/{upload_id}", status_code=200)
    async def whole(file: Annotated[Stored, resumable.file]) -> Any:
        return _shown(file)

    app.include_router(resumable.router)


def _shown(file: Stored) -> list[Any]:
    return [file.filename, file.media_type, file.size_bytes, file.sha256]
