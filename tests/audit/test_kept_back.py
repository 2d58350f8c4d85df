"""Whose details of HTTPExceptions an application's own handler replaces."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW301"]
START = """\
from fastapi import FastAPI, HTTPException, Request, status
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as Starlette
from shelves import shelf
import logging

log = logging.getLogger(__name__)
app = FastAPI()

def build(status, message):
    return JSONResponse({"detail": message}, status)
"""
ROUTE = """
@app.get("/books")
def books():
    try:
        return shelf.all()
    except Exception as error:
        raise HTTPException(%s)
"""
SAID = "500, f'not read: {error}'"


@pytest.fixture
def found(write):
    def ask(body: str, raised: str = SAID, kind: str = "HTTPException", more: str = "") -> bool:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        handler = f"@app.exception_handler({kind})\nasync def answer(request, e):\n{lines}"
        folder = write(f"{START}{more}\n{handler}{ROUTE % raised}")
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


KEPT = [
    "return JSONResponse({'detail': 'sorry'}, e.status_code)",
    "return build(e.status_code, 'sorry')",
    "return build(e.status_code, 'sorry' if e.status_code >= 500 else e.detail)",
    "return build(e.status_code, e.detail if e.status_code < 500 else 'sorry')",
    "detail = e.detail\nif e.status_code >= 500:\n    detail = 'sorry'\nreturn build(500, detail)",
    "if e.status_code == 500:\n    return build(500, 'sorry')\nreturn build(1, e.detail)",
    "if e.status_code < 500:\n    return build(1, e.detail)\nreturn build(500, 'sorry')",
    "bad = e.status_code == 500\nd = str(e.detail)\nif bad:\n    d = ''\nreturn build(500, d)",
    "s = e.status_code\nif s // 100 == 5:\n    return build(s, '')\nreturn build(s, e.detail)",
    "if 500 <= e.status_code < 600:\n    return build(1, '')\nreturn build(1, e.detail)",
    "if e.status_code in range(500, 600):\n    return build(1, '')\nreturn build(1, e.detail)",
    "if e.status_code in {500, 502}:\n    return build(1, '')\nreturn build(1, e.detail)",
    "if e.status_code == status.HTTP_500_INTERNAL_SERVER_ERROR:\n  e.detail = 1\nreturn e.detail",
    "e.detail = 'sorry'\nreturn await http_exception_handler(request, e)",
    "log.error('%s', e.detail)\nreturn build(e.status_code, 'sorry')",
    "if isinstance(e.detail, dict):\n    return build(1, e.detail)\nreturn build(1, 'sorry')",
    "if request.url.path == '/':\n    return build(1, '')\nelse:\n    return build(2, '')",
    "body = {'detail': e.detail}\nbody = {'detail': ''}\nreturn JSONResponse(body, 500)",
]
LET_THROUGH = [
    "return build(e.status_code, e.detail)",
    "return build(e.status_code, str(e))",
    "return await http_exception_handler(request, e)",
    "return build(e.status_code, 'sorry' if e.status_code < 500 else e.detail)",
    "return build(e.status_code, 'sorry' if e.status_code == 502 else e.detail)",
    "detail = e.detail\nif request.url.path == '/':\n    detail = ''\nreturn build(500, detail)",
    "if isinstance(e.detail, str):\n    return build(1, e.detail)\nreturn build(1, 'sorry')",
    "body = {}\nbody['detail'] = e.detail\nreturn JSONResponse(body, 500)",
    "body = {}\nbody.update(detail=e.detail)\nreturn JSONResponse(body, 500)",
    "if e.status_code > 500:\n    e.detail = ''\nreturn await http_exception_handler(request, e)",
    "try:\n    d = e.detail['x']\nexcept Exception:\n    d = ''\nreturn build(500, d)",
    "bad = e.status_code != 500\nd = e.detail\nif bad:\n    d = ''\nreturn build(500, d)",
]


@pytest.mark.parametrize("body", KEPT)
@pytest.mark.parametrize("kind", ["HTTPException", "Starlette"])
def test_a_detail_that_the_application_replaces_is_quiet(found, body, kind):
    assert not found(body, kind=kind)


def test_a_handler_of_the_status_replaces_its_detail(found):
    assert not found("return build(500, 'sorry')", kind="500")


@pytest.mark.parametrize("body", LET_THROUGH)
def test_a_detail_that_the_application_lets_through_is_found(found, body):
    assert found(body)


@pytest.mark.parametrize("raised", ["400, f'{error}'", "502, str(error)", "code, str(error)"])
def test_only_the_statuses_that_it_replaces_are_quiet(found, raised):
    assert found("return build(1, '' if e.status_code == 500 else e.detail)", raised)


@pytest.mark.parametrize("raised", ["500, {'why': str(error)}", "500, detail={'why': f'{error}'}"])
def test_a_detail_of_another_kind_is_found_where_only_texts_are_replaced(found, raised):
    body = "if isinstance(e.detail, dict):\n    return build(1, e.detail)\nreturn build(1, 'sorry')"

    assert found(body, raised)


@pytest.mark.parametrize("kind", ["Exception", "ValueError", "404", "RuntimeError"])
def test_a_handler_of_something_else_replaces_no_detail(found, kind):
    assert found("return build(500, 'sorry')", kind=kind)


def test_a_second_application_has_no_handler_of_the_first(found):
    assert found("return build(500, 'sorry')", more="inner = FastAPI()")


OWN = """
class Lost(HTTPException):
    pass

@app.exception_handler(Lost)
async def lost(request, e):
    return build(e.status_code, {told})
"""


@pytest.mark.parametrize(("told", "is_found"), [("e.detail", True), ("'lost'", False)])
def test_the_nearest_class_decides(found, told, is_found):
    code = f"{OWN.format(told=told)}{ROUTE.replace('HTTPException', 'Lost') % SAID}".replace(
        "/books", "/lost"
    )

    assert found("return build(500, 'sorry')", more=code) is is_found
