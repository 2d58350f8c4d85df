"""Whose text a client reads: through helpers, own exceptions and handlers, or not at all."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW301"]
START = """\
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from settings import settings
from shelves import shelf
import traceback

app = FastAPI()
"""


@pytest.fixture
def found(write):
    def ask(code: str, start: str = START) -> list[int]:
        folder = write(f"{start}{code}")
        return [one.line for one in audit([folder], root=folder, rules=RULE, processes=1).findings]

    return ask


CLAUSE = """
{above}

@app.get("/books")
def books():
    try:
        return shelf.all()
    except Exception as error:
        {clause}
"""

SENT = [
    "raise HTTPException(500, detail=str(error))",
    "raise HTTPException(500, detail=f'{error}')",
    "raise HTTPException(500, detail='%s' % error)",
    "raise HTTPException(500, detail='{}'.format(error))",
    "raise HTTPException(500, detail={'why': [repr(error)]})",
    "raise HTTPException(500, detail=error.args[0])",
    "raise HTTPException(500, detail=traceback.format_exc())",
    "raise made(error)",
    "fail(error)",
    "again(error)",
    "return made_answer(str(error))",
    "if not settings.debug: raise HTTPException(500, str(error))",
    "if settings.environment == 'production': raise HTTPException(500, str(error))",
    "if settings.mode != 'testing': raise HTTPException(500, str(error))",
    "if settings.debugged_by: pass\n        raise HTTPException(500, str(error))",
]
HELPERS = """
def made(e): return HTTPException(500, str(e))

def fail(e): raise HTTPException(500, f"{e}")

def again(e): fail(e)

def made_answer(text): return JSONResponse({"why": text}, 500)

def quiet(e): raise HTTPException(500, "not now")

def length(e): return len(str(e))

def shown(e, on, instead):
    if not on:
        return instead
    return str(e)
"""
KEPT = [
    "raise HTTPException(500, detail=error)",
    "raise HTTPException(500, detail={'why': error})",
    "return JSONResponse({'why': error}, 500)",
    "raise HTTPException(500, detail=type(error).__name__)",
    "quiet(error)",
    "raise HTTPException(500, detail=length(error))",
    "raise HTTPException(500, detail=shown(error, settings.debug, ''))",
    "if settings.debug: raise HTTPException(500, str(error))",
    "if not settings.is_production: raise HTTPException(500, str(error))",
    "if settings.env != 'production': raise HTTPException(500, str(error))",
    "if settings.mode == Mode.testing: raise HTTPException(500, str(error))",
    "if getattr(settings, 'MODE', '') == 'testing': raise HTTPException(500, str(error))",
    "if not settings.debug: raise HTTPException(500)\n        raise HTTPException(500, str(error))",
    "raise HTTPException(500, str(error) if settings.debug else 'not now')",
    "raise HTTPException(500, 'not now' if not settings.debug else str(error))",
]


@pytest.mark.parametrize("clause", SENT)
def test_a_text_is_found_however_it_is_made_and_raised(found, clause):
    assert found(CLAUSE.format(above=HELPERS, clause=clause))


@pytest.mark.parametrize("clause", KEPT)
def test_what_sends_no_text_or_only_while_debugging_is_quiet(found, clause):
    assert found(CLAUSE.format(above=HELPERS, clause=clause)) == []


OWN = """
class LibraryError(Exception):
{body}

class Lost(LibraryError):
    pass

{handler}

@app.get("/books")
def books():
    try:
        return shelf.all()
    except Exception as error:
        {raised}
"""
INIT = "    def __init__(self, message='', *, status=500):\n        self.m = message"
UP = "    def __init__(self, message):\n        super().__init__(message)"
ANSWER = """
@app.exception_handler(LibraryError)
def answer(request, e: LibraryError):
    return JSONResponse({{"why": {told}}}, 500)
"""
METHOD = INIT + "\n    def body(self):\n        return {'why': self.m}"


@pytest.mark.parametrize(
    ("body", "handler", "raised"),
    [
        (INIT, ANSWER.format(told="e.m"), "raise LibraryError(str(error))"),
        (INIT, ANSWER.format(told="e.m"), "raise Lost(f'not stored: {error}') from error"),
        (INIT, ANSWER.format(told="e.m"), "raise LibraryError(message=str(error))"),
        ("    pass", ANSWER.format(told="str(e)"), "raise LibraryError(str(error))"),
        ("    pass", ANSWER.format(told="e.args"), "raise LibraryError(str(error))"),
        (UP, ANSWER.format(told="f'{e}'"), "raise LibraryError(str(error))"),
        (METHOD, ANSWER.format(told="e.body()"), "raise LibraryError(str(error))"),
        (
            INIT,
            (
                "def answer(request, e): return JSONResponse(e.m, 500)\n"
                "app.add_exception_handler(LibraryError, answer)"
            ),
            "raise LibraryError(str(error))",
        ),
        (
            INIT,
            (
                "def answer(request, e): return JSONResponse(e.m, 500)\n"
                "other = FastAPI(exception_handlers={LibraryError: answer})"
            ),
            "text = str(error)\n        raise LibraryError(text)",
        ),
    ],
)
def test_an_own_exception_carries_a_text_to_its_handler(found, body, handler, raised):
    assert found(OWN.format(body=body, handler=handler, raised=raised))


@pytest.mark.parametrize(
    ("body", "handler", "raised"),
    [
        (INIT, ANSWER.format(told="e.m"), "raise LibraryError('not stored') from error"),
        (INIT, ANSWER.format(told="'not now'"), "raise LibraryError(str(error))"),
        (INIT, ANSWER.format(told="e.status"), "raise LibraryError(str(error))"),
        (INIT, "", "raise LibraryError(str(error))"),
        (
            INIT,
            ANSWER.format(told="e.m").replace("LibraryError", "KeyError"),
            "raise LibraryError(str(error))",
        ),
    ],
)
def test_an_own_exception_without_a_foreign_text_or_an_answer_is_quiet(
    found, body, handler, raised
):
    assert found(OWN.format(body=body, handler=handler, raised=raised)) == []


REGISTERED = """
from sqlalchemy.exc import IntegrityError, NoResultFound
import requests, httpx

@app.exception_handler({kind})
async def answer(request: Request, e):
    return JSONResponse({{"why": {told}}}, 500)

def unused():
    try: ...
    except KeyError: ...
"""


@pytest.mark.parametrize(
    "kind", ["IntegrityError", "OSError", "IOError", "requests.RequestException", "Exception"]
)
@pytest.mark.parametrize("told", ["str(e)", "repr(e)", "e.args", "f'{e}'"])
def test_a_handler_of_an_error_with_an_internal_text_is_found(found, kind, told):
    assert found(REGISTERED.format(kind=kind, told=told))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        *[
            ("IntegrityError", "'there is one'"),
            ("NoResultFound", "str(e)"),
            ("KeyError", "str(e)"),
        ],
        *[("IntegrityError", "type(e).__name__"), ("HTTPException", "e.detail")],
        ("IntegrityError", "str(e) if settings.debug else ''"),
    ],
)
def test_a_handler_with_a_text_of_its_own_is_quiet(found, kind, told):
    assert found(REGISTERED.format(kind=kind, told=told)) == []


@pytest.mark.parametrize("name", ["catalog", "blog", "dialog", "login", "shelf", "x", "prolog"])
def test_a_thing_whose_name_contains_log_is_no_log(found, name):
    code = CLAUSE.format(above="", clause=SENT[0]).replace("shelf", name)

    assert found(code, START.replace("shelf", name))


@pytest.mark.parametrize("name", ["log", "logger", "l", "s"])
def test_a_log_is_known_by_what_made_it(found, name):
    above = f"import logging\n{name} = logging.getLogger(__name__)"
    code = CLAUSE.format(above=above, clause=SENT[0]).replace("return shelf.all()", f"{name}.x(1)")

    assert found(code) == []


TOKENS = """
from jose import jwt, JWTError
from fastapi_csrf_protect import CsrfProtect
from pydantic import BaseModel

class Claims(BaseModel):
    sub: str

@app.post("/tokens")
async def check(token: str, request: Request, csrf: CsrfProtect):
    try:
        {tried}
    except JWTError:
        raise HTTPException(401, "no")
    except Exception as error:
        raise HTTPException(401, detail=str(error))
"""


@pytest.mark.parametrize(
    ("tried", "is_found"),
    [
        ("claims = jwt.decode(token, 'k')\n        return Claims(sub=claims.get('sub'))", False),
        ("await csrf.validate_csrf(request)", False),
        ("if not jwt.decode(token, 'k'):\n            raise HTTPException(401, 'no')", False),
        ("claims = jwt.decode(token, 'k')\n        return shelf.get(claims.get('sub'))", True),
        ("await csrf.validate_csrf(request)\n        return shelf.all()", True),
    ],
)
def test_what_is_only_said_of_the_client_s_own_token_is_quiet(found, tried, is_found):
    assert bool(found(TOKENS.format(tried=tried))) is is_found


@pytest.fixture
def said(write):
    """Ask for what is shown unless somebody asks for the least likely, too."""

    def ask(code: str) -> bool:
        folder = write(f"{START}{code}")
        found = audit([folder], root=folder, rules=RULE, processes=1).findings
        return any(one.confidence > Confidence.LOW for one in found)

    return ask


CALLED = """
import httpx

@app.get("/prices")
async def prices(client: httpx.AsyncClient):
    try:
        answer = await client.get("https://prices.example/key=1")
        {asked}
        return answer.json()
    except {kind} as error:
        raise HTTPException(502, f"Not asked: {{error!r}}")
"""


@pytest.mark.parametrize(
    ("kind", "asked", "is_found"),
    [
        ("httpx.RequestError", "pass", False),
        ("httpx.ConnectError", "pass", False),
        ("httpx.HTTPStatusError", "pass", False),
        ("httpx.HTTPStatusError", "answer.raise_for_status()", True),
        ("httpx.HTTPError", "answer.raise_for_status()", True),
        ("(httpx.RequestError, OSError)", "pass", True),
    ],
)
def test_an_error_of_httpx_names_an_address_where_a_status_was_asked_for(
    said, kind, asked, is_found
):
    assert said(CALLED.format(kind=kind, asked=asked)) is is_found


GATHERED = """
@app.post("/rows")
def add_rows(rows: list[int]):
    errors, done = [], []
    for number, row in enumerate(rows):
        try:
            shelf.add(row)
        except Exception as error:
            {noted}
    return {answer}
"""


@pytest.mark.parametrize(
    ("noted", "answer", "is_found"),
    [
        ("errors.append(str(error))", "{'errors': errors}", True),
        ("errors.append(f'Row {number}: {error}')", "JSONResponse({'errors': errors}, 400)", True),
        ("errors.append({'row': number, 'why': str(error)})", "errors", True),
        ("errors.append(number)", "{'errors': errors}", False),
        ("errors.append(str(error))", "{'errors': len(errors)}", False),
        ("errors.append(str(error))", "{'done': done}", False),
        ("errors.append(type(error).__name__)", "errors", False),
    ],
)
def test_texts_that_are_gathered_in_a_list_and_answered_are_found(found, noted, answer, is_found):
    code = GATHERED.replace("{noted}", noted).replace("{answer}", answer)

    assert bool(found(code)) is is_found
