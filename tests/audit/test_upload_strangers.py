"""Uploads on the ways of strangers' services: in objects and models, bounded here or there."""

import pytest

from roadworthy.audit.analyses.client_paths import opened
from roadworthy.audit.analyses.uploads import uploads_of
from roadworthy.audit.fastapi.routes import routes_in

HEAD = """
import os
from dataclasses import dataclass
from typing import Annotated
from fastapi import APIRouter, Depends, File, Form, HTTPException, UploadFile
from pydantic import BaseModel

router = APIRouter()
LIMITS = {"image": 5_000_000}
MOST = 5_000_000

class Keeps:
    def __init__(self, number: int, photo: UploadFile):
        self.number = number
        self.photo = photo

    async def run(self, log=None):
        return len(await self.photo.read())

    async def store(self):
        with open(os.path.join("/srv", self.photo.filename), "wb") as kept:
            kept.write(await self.photo.read(10))

class Child(Keeps): ...

@dataclass
class Job:
    number: int
    photo: UploadFile

class Form_(BaseModel):
    number: int = 0
    photo: UploadFile | None = None
    photos: list[UploadFile] = []

class Service:
    async def keep(self, job):
        return len(await job.photo.read())

def as_form(number: int = Form(0), photo: UploadFile | None = File(None)) -> Form_:
    return Form_(number=number, photo=photo)

async def handle(work, log):
    return await work(log=log)

async def size_of(job: Job):
    return len(await job.photo.read())
"""


@pytest.fixture
def uploads(codebase):
    """Return what the routes of a file do with uploads."""

    def find(source: str):
        routes = routes_in(codebase(HEAD + source).module("app.py"))
        return [upload for route in routes for upload in uploads_of(route)]

    return find


def unlimited(uploads) -> bool:
    return any(list(one.reads) and not one.is_limited for one in uploads)


ADD = "@router.post('/photos')\nasync def add(photo: UploadFile, number: int = 0):\n    "


@pytest.mark.parametrize(
    "way",
    [
        "return await handle(Keeps(1, photo).run, None)",
        "return await handle(Keeps(number=1, photo=photo).run, log=None)",
        "return await handle(work=Keeps(1, photo=photo).run, log=None)",
        "return await Keeps(1, photo).run()",
        "keeps = Keeps(1, photo)\n    return await keeps.run()",
        "keeps = Child(1, photo)\n    return await handle(keeps.run, None)",
        "return await size_of(Job(1, photo))",
        "job = Job(number=1, photo=photo)\n    return await size_of(job)",
        "return await Service().keep(job=Job(1, photo))",
        "both = [] + [photo]\n    return [await one.read() for one in both]",
    ],
)
def test_an_upload_is_followed_into_the_object_that_is_made_with_it(uploads, way):
    assert unlimited(uploads(ADD + way))


@pytest.mark.parametrize(
    "way",
    [
        "return await handle(Keeps(1, None).run, photo)",
        "keeps = Keeps(1, photo)\n    return keeps.number",
        "return str(Job(1, photo))",
    ],
)
def test_an_object_of_which_nobody_asks_for_the_upload_reads_nothing(uploads, way):
    assert not unlimited(uploads(ADD + way))


@pytest.mark.parametrize(
    "route",
    [
        "async def add(form: Form_ = Depends(as_form)):\n    return await form.photo.read()",
        "async def add(form: Annotated[Form_, Form()]):\n    return await form.photo.read()",
        (
            "async def add(form: Annotated[Form_, Form()]):\n"
            "    return [await one.read() for one in form.photos]"
        ),
        "async def add(job: Annotated[Job, Depends()]):\n    return await size_of(job)",
    ],
)
def test_an_upload_of_a_model_is_an_upload(uploads, route):
    assert unlimited(uploads(f"@router.post('/photos')\n{route}"))


@pytest.mark.parametrize(
    "route",
    [
        "async def add(form: Annotated[Form_, Form()]):\n    return form.number",
        "async def add(form: Annotated[Form_, Form()]):\n    return await form.photo.read(100)",
        (
            "async def add(form: Annotated[Form_, Form()]):\n    if form.photo.size > MOST:\n"
            "        raise HTTPException(413)\n    return await form.photo.read()"
        ),
    ],
)
def test_a_model_whose_upload_is_small_or_left_alone_is_quiet(uploads, route):
    assert not unlimited(uploads(f"@router.post('/photos')\n{route}"))


CHECKED = """
def checked(photo: UploadFile, most: int | None = None) -> bytes:
    limit = most or LIMITS.get("image")
    if limit:
        content = photo.file.read(limit + 1)
        if len(content) > limit:
            raise HTTPException(413)
    else:
        content = photo.file.read()
    photo.file.seek(0)
    return content

def given(photo: UploadFile, most: int | None = None) -> bytes:
    if most is None:
        return photo.file.read()
    else:
        content = photo.file.read(most + 1)
        if most < len(content):
            raise HTTPException(413)
    return content

async def far(photo): return await further(photo)
async def further(photo): return await furthest(photo)
async def furthest(photo):
    kept(photo)
    return await photo.read()
def kept(photo): return checked(photo)

def long_enough(photo: UploadFile) -> bytes:
    head = photo.file.read(MOST)
    if len(head) < MOST:
        raise HTTPException(400)
    return head

"""


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("return checked(photo)", False),
        ("return checked(photo, 100)", False),
        ("return await far(photo)", False),
        ("checked(photo)\n    return len(await photo.read())", False),
        ("return given(photo, number)", False),
        ("return given(photo, most=MOST)", False),
        ("return given(photo)", True),
        ("return given(photo, None)", True),
        ("long_enough(photo)\n    return len(await photo.read())", True),
        ("head = await photo.read(16)\n    return head + await photo.read()", True),
        ("if number: head = await photo.read(16)\n    else: head = await photo.read()", True),
    ],
)
def test_a_read_up_to_a_limit_that_refuses_the_rest_is_a_limit(uploads, way, found):
    assert unlimited(uploads(CHECKED + ADD + way)) is found


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("return await Keeps(1, photo).store()", True),
        ("return await handle(Keeps(1, photo).store, None)", True),
        ("return await handle(Keeps(1, photo).run, None)", False),
    ],
)
def test_a_path_of_the_clients_name_is_found_in_such_an_object(uploads, way, found):
    assert any(opened(one) is not None for one in uploads(ADD + way)) is found
