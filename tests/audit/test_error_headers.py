"""The checklist's eighth question: whether errors carry a code in a header."""

import json

import pytest

TOP = """\
from fastapi import FastAPI, HTTPException
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as Other

app = FastAPI()

class Taken(Exception):
    pass

@app.get("/")
def read():
    raise HTTPException(404, "none"{headers})
"""
CODED, BARE = ', headers={"X-Error-Code": "NONE"}', ""
LOGIN = ', headers={"WWW-Authenticate": "Bearer"}'


def answer(project, headers, *handlers):
    project.write("shop.py", TOP.replace("{headers}", headers) + "\n".join(handlers))
    done = project.run("--checklist", "--format", "json", "--no-cache")
    return json.loads(done.stdout)[7]["answer"]


def handler(returns, exception="HTTPException", before=""):
    return (
        f"\n@app.exception_handler({exception})\nasync def answer_{exception}(request, error):\n"
        f"{before}    return {returns}\n"
    )


@pytest.mark.sampled
@pytest.mark.parametrize("exception", ["HTTPException", "Other", "Taken", "Exception"])
@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ('JSONResponse({}, 404, headers={"X-Code": "A"})', "pass"),
        ('JSONResponse({}, 404, {"X-Code": "A"})', "pass"),
        ("JSONResponse({}, 404)", "fail"),
        ('JSONResponse({}, 401, headers={"WWW-Authenticate": "Bearer"})', "fail"),
        ("JSONResponse({}, 404, headers=made(error))", "could not tell"),
        ("other(request, error)", "could not tell"),
    ],
)
def test_a_handler_is_read(project, exception, returns, said):
    assert answer(project, BARE, handler(returns, exception)) == said


@pytest.mark.parametrize(
    "returns",
    [
        "JSONResponse({}, error.status_code, headers=error.headers)",
        'JSONResponse({}, error.status_code, headers=getattr(error, "headers", None))',
        "JSONResponse({}, error.status_code, headers=error.headers or {})",
        "JSONResponse({}, error.status_code, headers={**error.headers})",
        "await http_exception_handler(request, error)",
        "helped(error)\n\ndef helped(e):\n    return JSONResponse({}, headers=e.headers)",
    ],
)
def test_one_that_sends_those_of_the_exception_leaves_it_to_them(project, returns):
    assert answer(project, CODED, handler(returns)) == "pass"
    assert answer(project, BARE, handler(returns)) == "fail"


@pytest.mark.parametrize(
    ("before", "returns"),
    [
        ('    found = {"X-Code": "A"}\n', "JSONResponse({}, 404, headers=found)"),
        ('    found = JSONResponse({})\n    found.headers["X-Code"] = "A"\n', "found"),
        ('    found = JSONResponse({}, headers={"X-Code": "A"})\n', "found"),
    ],
)
def test_what_a_name_stands_for_is_read(project, before, returns):
    assert answer(project, BARE, handler(returns, before=before)) == "pass"


def test_the_least_of_several_handlers_decides(project):
    coded = handler('JSONResponse({}, headers={"X-Code": "A"})')

    assert answer(project, BARE, coded, handler("JSONResponse({})", "Taken")) == "fail"
    assert answer(project, BARE, coded, handler("made()", "Taken")) == "could not tell"


def test_the_contract_of_this_library_has_a_code_in_each(project):
    install = "from roadworthy import problems\nproblems.install(app)\n"

    assert answer(project, BARE, install) == "pass"


def test_a_header_with_another_meaning_is_no_code(project):
    assert answer(project, LOGIN) == "fail"
    assert answer(project, CODED) == "pass"
