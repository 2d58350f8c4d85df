"""Which code gets an upload, where it is read whole, and what limits it."""

import pytest

from roadworthy.audit.analyses.uploads import limits_all, uploads_of
from roadworthy.audit.fastapi.routes import routes_in

HEAD = """
import asyncio
import shutil
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, UploadFile
from fastmcp import FastMCP

router = APIRouter()
MOST = 1_000_000
"""


@pytest.fixture
def uploads(codebase):
    """Return what the routes of a file do with uploads."""

    def find(source: str):
        routes = routes_in(codebase(HEAD + source).module("app.py"))
        return [upload for route in routes for upload in uploads_of(route)]

    return find


@pytest.mark.parametrize(
    "way",
    [
        "await photo.read()",
        "photo.file.read()",
        "shutil.copyfileobj(photo.file, open('/dev/null', 'wb'))",
        "[await one.read() for one in [photo]]",
        "read_all(photo)",
        "await asyncio.to_thread(read_all, photo)",
        "await asyncio.get_running_loop().run_in_executor(None, read_all, photo)",
    ],
)
def test_a_read_of_everything_is_seen(uploads, way):
    [upload] = uploads(f"""
def read_all(upload):
    return upload.file.read()

@router.post("/photos")
async def add(photo: UploadFile):
    {way}
""")

    assert len(list(upload.reads)) == 1
    assert not upload.is_limited


@pytest.mark.parametrize("way", ["await photo.read(512)", "photo.filename", "print(photo.size)"])
def test_what_reads_no_more_than_a_number_of_bytes_is_no_read(uploads, way):
    [upload] = uploads(f"""
@router.post("/photos")
async def add(photo: UploadFile):
    {way}
""")

    assert list(upload.reads) == []


@pytest.mark.parametrize(
    "check",
    [
        "if photo.size > MOST: raise HTTPException(413)",
        "size = photo.size\n    if size > MOST: raise HTTPException(413)",
        "if is_large(photo): raise HTTPException(413)",
        "if int(request.headers['content-length']) > MOST: raise HTTPException(413)",
        "if length_of(request) > MOST: raise HTTPException(413)",
        "photo.file.seek(0, 2)\n    if photo.file.tell() > MOST: raise HTTPException(413)",
    ],
)
def test_a_comparison_before_reading_limits_it(uploads, check):
    [upload] = uploads(f"""
def is_large(upload):
    return upload.size > MOST

def length_of(request):
    return int(request.headers.get("Content-Length", 0))

@router.post("/photos")
async def add(request: Request, photo: UploadFile):
    {check}
    return len(await photo.read())
""")

    assert upload.is_limited


def test_a_comparison_after_reading_limits_nothing(uploads):
    [upload] = uploads("""
@router.post("/photos")
async def add(photo: UploadFile):
    content = await photo.read()
    if len(content) > MOST:
        raise HTTPException(413)
    return {"size": photo.size}
""")

    assert not upload.is_limited


def test_a_dependency_that_takes_the_upload_is_asked_too(uploads):
    found = uploads("""
async def content(photo: UploadFile):
    return await photo.read()

@router.post("/photos")
async def add(content: bytes = Depends(content)):
    return len(content)
""")

    assert [one.function.name for one in found] == ["content"]


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        ("app = FastAPI(max_body_size=MOST)", True),
        ("app = FastAPI(max_body_size=None)", False),
        ("app = FastAPI()\napp.include_router(router, max_body_size=MOST)", True),
        ("app = FastAPI()\napp.add_middleware(LimitUploadSize, max_upload_size=MOST)", True),
        ("app = FastAPI()\napp.add_middleware(RateLimit)", False),
        ("tools = FastMCP()\ntools.add_middleware(InputSizeLimit)", False),
    ],
)
def test_the_application_may_limit_every_body(codebase, source, limits):
    assert limits_all(codebase(HEAD + source).module("app.py")) is limits
