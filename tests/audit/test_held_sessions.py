"""Sessions that are kept while an answer is sent, and generators that are run by hand."""

import pytest

TOP = """\
import io
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, AsyncIterator, Iterator
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi import responses as r
from fastapi.responses import FileResponse, JSONResponse
from fastapi.responses import StreamingResponse as Stream
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from sse_starlette.sse import EventSourceResponse

app = FastAPI()
makes = sessionmaker(create_engine("postgresql:///shop"))
def lend() -> Iterator[Session]:
    with makes() as s:
        yield s
def plain() -> Session:
    return makes()
def words() -> Iterator[str]:
    with open("words") as file:
        yield file.read()
def guard(s: Session = Depends(lend)):
    s.execute(text("select 1"))
class Guard:
    def __init__(self, s: Annotated[Session, Depends(lend)]):
        s.execute(text("select 1"))
Lent = Annotated[Session, Depends(lend)]
class Own(Stream):
    pass
def ticks():
    yield "x"
def made():
    return Stream(ticks())
def _of(size: int) -> r.Response:
    if size: return FileResponse("a")
    return r.Response("b")
async def served(s: Session, head: bool = False) -> r.Response:
    if head: return r.Response()
    s.execute(text("select 1"))
    return _of(1)
async def rows_in(s: Session) -> r.Response:
    return Stream(x for x in s.execute(text("select 1")).yield_per(9))
async def let_go(s: Session) -> r.Response:
    s.execute(text("select 1"))
    s.close()
    return FileResponse("a")
async def told(s: Session) -> r.Response:
    return JSONResponse({})
"""
ASKS = "    s.execute(text('select 1'))\n"
HELD = [
    ("s: Session = Depends(lend)", "", "return Stream(ticks())"),
    ("s: Lent", "", "return r.StreamingResponse(ticks())"),
    ("s: Session = Security(lend)", "", "return EventSourceResponse(ticks())"),
    ("s: Lent", "", "return FileResponse('a')"),
    ("s: Lent", "", "return Own(ticks())"),
    ("s: Lent", "", "return made()"),
    ("s: Lent", "", "return await served(s)"),
    ("s: Lent", "", "return _of(1)"),
    (
        "s: Lent",
        "",
        "row = s.execute(text('1')).scalars().first()\n    return Stream(ticks(), row.a)",
    ),
    ("s: Lent", "", "row = s.get(Own, 1)\n    return Stream(io.StringIO(row.a))"),
    ("s: Lent", "", "answer = Stream(ticks())\n    answer.status_code = 206\n    return answer"),
    ("g=Depends(guard)", None, "return Stream(ticks())"),
    ("g: Guard = Depends()", None, "return Stream(ticks())"),
    ("", None, "return Stream(ticks())", "dependencies=[Depends(guard)]"),
    ("g=Depends(guard)", None, "yield 'x'"),
]
FREE = [
    ("s: Session = Depends(lend, scope='function')", "", "return Stream(ticks())"),
    ("s: Session = Depends(plain)", "", "return Stream(ticks())"),
    ("s: str = Depends(words)", "", "return Stream(ticks())"),
    ("s: Lent", "", "return JSONResponse({})"),
    ("s: Lent", "", "return await told(s)"),
    ("s: Lent", "", "return await rows_in(s)"),
    ("s: Lent", "", "return await let_go(s)"),
    ("s: Lent", "", "rows = s.execute(text('1')).yield_per(9)\n    return Stream(x for x in rows)"),
    ("s: Lent", "", "rows = rows_of(s)\n    return Stream(x for x in rows)"),
    ("s: Lent", "", "s.close()\n    return Stream(ticks())"),
    ("s: Lent", "", "s.commit()\n    return FileResponse('a')"),
    ("s: Lent", None, "return FileResponse('a')"),
    ("s: Lent", "", "return Stream(rows(s))"),
    ("s: Lent", "", "yield 'x'"),
    ("s: Lent", "", "found = rows(s)\n    return Stream(found)"),
    ("s: Lent", "", "def rows():\n        yield s.scalar(text('a'))\n    return Stream(rows())"),
    ("", None, "with makes() as s:\n        s.get(1)\n    return FileResponse('a')"),
]


def found(project, rule, takes, asks, answers, option="tags=[]"):
    body = (ASKS if asks == "" else "") + f"    {answers}\n"
    project.write("shop.py", f"{TOP}@app.get('/a', {option})\ndef a({takes}):\n{body}")
    return project.found("--no-cache", "--select", rule)


@pytest.mark.parametrize("case", HELD, ids=str)
def test_a_session_is_held_until_the_last_byte(project, case):
    assert [code for code, *_ in found(project, "RW207", *case)] == ["RW207"]


@pytest.mark.parametrize("case", FREE, ids=str)
def test_what_ends_before_or_is_read_by_the_stream_is_not_reported(project, case):
    assert found(project, "RW207", *case) == []


def test_what_becomes_true_on_an_upgrade_is_said(project):
    dependency = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi==0.115.4"]\n'
    project.write("pyproject.toml", dependency)

    done = project.run("--no-cache")

    assert done.returncode == 0
    assert "True from FastAPI 0.118 on: RW201 commit-after-response at shop.py:9." in done.stdout
    project.write("pyproject.toml", dependency.replace("0.115.4", "0.118"))
    assert project.found("--no-cache") == [("RW201", "shop.py", 9)]


DRIVEN = [
    "for s in lend():\n        yield s",
    "yield next(lend())",
    "return next(lend())",
    "g = lend()\n    yield next(g)",
    "yield lend().__next__()",
    "yield next(iter(lend()))",
    "for s in lend():\n        return s",
    "for s in lend():\n        with s:\n            yield s",
    "for w in words():\n        yield w",
]
ENTERED = [
    "yield from lend()",
    "with contextmanager(lend)() as s:\n        yield s",
    "for s in lend():\n        x = s.scalar(text('a'))\n    return x",
    "for t in ticks():\n        yield t",
    "g = lend()\n    try:\n        yield next(g)\n    finally:\n        g.close()",
    "for n in [1, 2]:\n        yield n",
    "return next(n for n in [1, 2])",
]


def driven(project, body):
    source = f"{TOP}def other():\n    {body}\n@app.get('/a')\ndef a(s=Depends(other)):\n    ...\n"
    project.write("shop.py", source)
    return project.found("--no-cache", "--select", "RW208")


@pytest.mark.parametrize("body", DRIVEN)
def test_a_generator_that_cleans_up_is_not_run_by_hand(project, body):
    assert [code for code, *_ in driven(project, body)] == ["RW208"]


@pytest.mark.parametrize("body", ENTERED)
def test_what_is_delegated_entered_ended_or_has_no_end_is_right(project, body):
    assert driven(project, body) == []


def test_names_of_other_modules_are_followed(project):
    project.write("deps.py", TOP)
    source = "import deps\nfrom fastapi import Depends, FastAPI\napp = FastAPI()\n"
    driver = "def other():\n    for s in deps.lend():\n        yield s\n"
    project.write("shop.py", f"{source}{driver}@app.get('/')\ndef a(s=Depends(other)): ...\n")

    assert project.found("--no-cache", "--select", "RW208") == [("RW208", "shop.py", 5)]
