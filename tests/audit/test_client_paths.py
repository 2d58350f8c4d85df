"""Which paths a client chooses by the name of its file, and which it does not."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

NAMED = [one for one in RULES if one.code == "RW504"]
SIZED = [one for one in RULES if one.code == "RW501"]


@pytest.fixture
def found(write):
    def ask(code: str, rules=NAMED) -> list[int]:
        folder = write(code)
        return [one.line for one in audit([folder], root=folder, rules=rules, processes=1).findings]

    return ask


ROUTE = """\
import hashlib, logging, os, re, shutil
from pathlib import Path, PurePath
from uuid import uuid4
import aiofiles
from fastapi import FastAPI, HTTPException, UploadFile
from settings import settings
from helpers import valid_name, clean

app = FastAPI(max_body_size=1_000_000)
FOLDER = Path("/srv/scans")
NAMES = {"a", "b"}
log = logging.getLogger(__name__)

def joined(name): return FOLDER / name

def base(name): return os.path.basename(name)

def store(path, data):
    with open(path, "wb") as out:
        out.write(data)

def outer(path, data): store(path, data)

def checked(name):
    if "/" in name:
        raise HTTPException(422)

class Shelf:
    def __init__(self, root): self.root = root
    def put(self, name, data): (self.root / name).write_bytes(data)

@app.post("/scans")
async def scan(f: UploadFile, other: UploadFile):
    data = await f.read()
    n = f.filename
"""

OPENED = [
    "open(n, 'wb')",
    "open(f'/srv/{n}', 'wb')",
    "open('/srv/' + n, 'wb')",
    "open('/srv/%s' % n, 'wb')",
    "open('/srv/{}'.format(n), 'wb')",
    "open(os.path.join('/srv', n), 'wb')",
    "open(FOLDER / n, 'wb')",
    "open(FOLDER.joinpath('x', n), 'wb')",
    "open(file=FOLDER / n, mode='wb')",
    "(FOLDER / n).open('wb')",
    "(settings.folder / n).write_bytes(data)",
    "Path('/srv', n).write_bytes(data)",
    "target = FOLDER / n; target.touch()",
    "target = settings.folder / n; target.open('wb')",
    "Path(f'/srv/{n}').write_text('')",
    "shutil.move('/tmp/x', FOLDER / n)",
    "Path('/tmp/x').rename(FOLDER / n)",
    "async with aiofiles.open(FOLDER / n, 'wb') as out: pass",
    "stem, end = os.path.splitext(n); open(f'/srv/{stem}{end}', 'wb')",
    "stem = os.path.splitext(n)[0]; open('/srv/' + stem, 'wb')",
    "open('/srv/' + n.rsplit('.', 1)[0], 'wb')",
    "stem, _, end = n.rpartition('.'); open('/srv/' + stem, 'wb')",
    "open('/srv/' + n[:20], 'wb')",
    "open(Path(n).parent / 'x', 'wb')",
    "open(joined(n), 'wb')",
    "store(FOLDER / n, data)",
    "outer(f'/srv/{n}', data)",
    "Shelf(FOLDER).put(n, data)",
    "log.info('%s', os.path.basename(n)); open(FOLDER / n, 'wb')",
    "base(other.filename); open(FOLDER / n, 'wb')",
    "secure_filename = n; open(FOLDER / secure_filename, 'wb')",
    "basename = n; open(FOLDER / basename, 'wb')",
    "'..'; open(FOLDER / n, 'wb')",
    "if len(n) > 255: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if not n: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "open(f'{FOLDER}/{n}', 'wb')",
    "open(f'{FOLDER}{n}', 'wb')",
    "open(f'/srv/.{n}', 'wb')",
    "open(f'x_{n}/{n}', 'wb')",
    "open('/srv/' + uuid4().hex + n, 'wb')",
    "t = FOLDER / f'{uuid4()}_{n}'; t.parent.mkdir(parents=True); open(t, 'wb')",
    "t = f'/srv/{uuid4()}_{n}'; os.makedirs(os.path.dirname(t)); open(t, 'wb')",
    "if '/' in n: log.warning(n)\n    open(FOLDER / n, 'wb')",
    "if '/' in other.filename: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if Path(n).suffix not in {'.pdf'}: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if not n.endswith('.pdf'): raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
]
KEPT = [
    "open(FOLDER / uuid4().hex, 'wb')",
    "open(FOLDER / Path(n).name, 'wb')",
    "open(FOLDER / PurePath(n).stem, 'wb')",
    "open(FOLDER / (uuid4().hex + Path(n).suffix), 'wb')",
    "open(FOLDER / os.path.basename(n), 'wb')",
    "open(FOLDER / base(n), 'wb')",
    "open(FOLDER / f'{uuid4()}_{n}', 'wb')",
    "t = f'{uuid4().hex}-{n}'; open(FOLDER / t, 'wb')",
    "open('/srv/' + uuid4().hex + '_' + n, 'wb')",
    "open(f'/srv/x_' + n, 'wb')",
    "FOLDER.mkdir(parents=True); open(FOLDER / f'{uuid4()}_{n}', 'wb')",
    "n = os.path.basename(n); open(FOLDER / n, 'wb')",
    "f.filename = base(f.filename); open(FOLDER / f.filename, 'wb')",
    "open(FOLDER / clean(n), 'wb')",
    "open(FOLDER / hashlib.sha256(n.encode()).hexdigest(), 'wb')",
    "open(FOLDER / f'{uuid4()}.{n.rsplit(chr(46), 1)[-1]}', 'wb')",
    "end = n.split('.')[-1]; open(FOLDER / ('x.' + end), 'wb')",
    "_, end = os.path.splitext(n); open(FOLDER / ('x' + end), 'wb')",
    "open(FOLDER / n.split('/')[-1], 'wb')",
    "open(FOLDER / n.replace('/', '_'), 'wb')",
    (
        "t = (FOLDER / n).resolve()\n    if not t.is_relative_to(FOLDER): raise HTTPException(422)"
        "\n    open(t, 'wb')"
    ),
    "target = (FOLDER / n).resolve()\n    if target.is_relative_to(FOLDER): open(target, 'wb')",
    "target = (FOLDER / n).resolve(); target.relative_to(FOLDER); open(target, 'wb')",
    "if '/' in n or '..' in n: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if n not in NAMES: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if Path(n).name != n: raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if not re.fullmatch('[a-z]+', n): raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "if not valid_name(n): raise HTTPException(422)\n    open(FOLDER / n, 'wb')",
    "checked(n); open(FOLDER / n, 'wb')",
    "open('/srv/index', 'w').write(n)",
    "(FOLDER / 'index').write_text(n)",
    "out = open(FOLDER / 'x', 'wb'); out.write(n.encode())",
]


@pytest.mark.parametrize("body", OPENED)
def test_a_path_with_the_clients_name_is_found_however_it_is_made(found, body):
    assert found(f"{ROUTE}    {body}\n")


@pytest.mark.parametrize("body", KEPT)
def test_a_path_that_stays_in_its_folder_is_quiet(found, body):
    assert found(f"{ROUTE}    {body}\n") == []


SIZES = """\
from typing import Annotated
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, UploadFile
import logging

app = FastAPI()
log = logging.getLogger(__name__)

def small(f: UploadFile) -> UploadFile:
    if f.size is None or f.size > 5: raise HTTPException(413)
    return f

async def sought(f: UploadFile) -> UploadFile:
    f.file.seek(0, 2)
    if f.file.tell() > 5: raise HTTPException(413)
    return f

def short(request: Request):
    if int(request.headers["content-length"]) > 5: raise HTTPException(413)

def other(g: UploadFile) -> UploadFile:
    if g.size > 5: raise HTTPException(413)
    return g

def told(f: UploadFile) -> UploadFile:
    if f.size > 5: log.warning("large")
    return f

def again(g: UploadFile = Depends(small)): return g

class Most:
    def __init__(self, most): self.most = most
    def __call__(self, f: UploadFile) -> UploadFile:
        if f.size > self.most: raise HTTPException(413)
        return f

Small = Annotated[UploadFile, Depends(small)]
kept = Depends(small)
"""
TAKEN = "\nasync def take({}): return len(await f.read())\n"


@pytest.mark.parametrize(
    "code",
    [
        '@app.post("/")' + TAKEN.format("f: UploadFile = Depends(small)"),
        '@app.post("/")' + TAKEN.format("f: UploadFile = Depends(sought)"),
        '@app.post("/")' + TAKEN.format("f: Annotated[UploadFile, Depends(small)]"),
        '@app.post("/")' + TAKEN.format("f: Small"),
        '@app.post("/")' + TAKEN.format("f: UploadFile = kept"),
        '@app.post("/")' + TAKEN.format("f: UploadFile = Depends(Most(5))"),
        '@app.post("/")' + TAKEN.format("f: UploadFile = Depends(again)"),
        '@app.post("/", dependencies=[Depends(small)])' + TAKEN.format("f: UploadFile"),
        '@app.post("/", dependencies=[Depends(short)])' + TAKEN.format("f: UploadFile"),
        'r = APIRouter(dependencies=[kept])\n@r.post("/")' + TAKEN.format("f: UploadFile"),
        'r = APIRouter()\n@r.post("/")'
        + TAKEN.format("f: UploadFile")
        + "app.include_router(r, dependencies=[Depends(small)])",
        'site = FastAPI(dependencies=[Depends(small)])\nr = APIRouter()\n@r.post("/")'
        + TAKEN.format("f: UploadFile")
        + "site.include_router(r)",
        'site = FastAPI(dependencies=[Depends(short)])\n@site.post("/")'
        + TAKEN.format("f: UploadFile"),
    ],
)
def test_a_limit_counts_wherever_it_comes_before(found, code):
    assert found(SIZES + code, SIZED) == []


@pytest.mark.parametrize(
    "code",
    [
        '@app.post("/")' + TAKEN.format("f: UploadFile"),
        '@app.post("/")' + TAKEN.format("f: UploadFile = Depends(told)"),
        '@app.post("/", dependencies=[Depends(other)])' + TAKEN.format("f: UploadFile"),
        '@app.post("/")' + TAKEN.format("f: UploadFile, g=Depends(other)"),
        'r = APIRouter(dependencies=[Depends(told)])\n@r.post("/")' + TAKEN.format("f: UploadFile"),
        'r = APIRouter()\nq = APIRouter()\n@r.post("/")'
        + TAKEN.format("f: UploadFile")
        + "app.include_router(q, dependencies=[Depends(small)])",
    ],
)
def test_a_limit_of_something_else_or_without_a_refusal_is_none(found, code):
    assert found(SIZES + code, SIZED)
