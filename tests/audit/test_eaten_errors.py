"""Which `except Exception` takes an HTTPException's place, and which says as much as it did."""

import pytest

from roadworthy.audit.model.finding import Confidence
from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = next(rule for rule in RULES if rule.code == "RW302")
SOURCE = """
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse, RedirectResponse

app = FastAPI()

@app.get("/orders/{{number}}")
async def order(number: int):
    try:
        if number < 0:
            raise HTTPException({raised}, "No such order")
        return number
    except Exception:
        {answer}
"""


@pytest.fixture
def confidence(write):
    def ask(raised: int, answer: str) -> Confidence:
        folder = write(SOURCE.format(raised=raised, answer=answer))
        (found,) = audit([folder], root=folder, rules=[RULE], processes=1).findings
        return found.confidence

    return ask


@pytest.mark.parametrize(
    ("raised", "answer"),
    [
        (404, "raise HTTPException(500, 'failed')"),
        (403, "raise HTTPException(404, 'none')"),
        (404, "return JSONResponse({'error': 'failed'}, 500)"),
        (404, "return {'error': 'failed'}"),
    ],
)
def test_another_status_is_told_to_the_client(confidence, raised, answer):
    assert confidence(raised, answer) is Confidence.HIGH


@pytest.mark.parametrize(
    ("raised", "answer"),
    [
        (401, "raise HTTPException(401, 'Could not validate credentials')"),
        (500, "raise HTTPException(500, 'failed')"),
        (404, "return JSONResponse({'error': 'failed'}, 404)"),
    ],
)
def test_the_same_status_tells_a_client_nothing_wrong(confidence, raised, answer):
    assert confidence(raised, answer) is Confidence.LOW


@pytest.mark.parametrize(
    "answer",
    [
        "return RedirectResponse('/login')",
        "return RedirectResponse('/login', status_code=302)",
        "return RedirectResponse(url='/login', status_code=303)",
    ],
)
def test_a_page_that_sends_on_whoever_fails_means_to(confidence, answer):
    assert confidence(400, answer) is Confidence.LOW


KINDS = """
from fastapi import FastAPI, HTTPException
from shop import rows

app = FastAPI()

class Missing(HTTPException):
    def __init__(self, text: str):
        super().__init__(404, text)

class Gone(Missing): ...

def find(number: int, mode: str = ""):
    if number not in rows:
        raise Gone("No such order")
    return rows[number]

@app.get("/orders/{{number}}")
async def order(number: int, other: int):
    {before}
    try:
        return find(number)
    except Exception as error:
        {clause}
        raise HTTPException(500, "failed")
"""


@pytest.fixture
def is_said(write):
    def ask(before: str = "pass", clause: str = "pass") -> bool:
        folder = write(KINDS.format(before=before, clause=clause))
        return bool(audit([folder], root=folder, rules=[RULE], processes=1).findings)

    return ask


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("if isinstance(error, Gone): raise HTTPException(404, 'gone')", False),
        ("if isinstance(error, Missing): raise HTTPException(404, 'gone')", False),
        ("if isinstance(error, (KeyError, Missing)): return {}", False),
        ("if isinstance(error, KeyError) or isinstance(error, Gone): return {}", False),
        ("if isinstance(error, KeyError): raise HTTPException(404, 'gone')", True),
        ("if isinstance(error, Gone): print('gone')", True),
        ("if isinstance(error, Gone) and number: return {}", True),
        ("if isinstance(number, Gone): return {}", True),
    ],
)
def test_a_clause_that_answers_this_kind_itself_eats_nothing(is_said, clause, expected):
    assert is_said(clause=clause) is expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("find(number)", False),
        ("if other: find(number)", True),
        ("find(other)", True),
        ("find(number, 'x')", True),
        ("find(1)", True),
    ],
)
def test_what_the_same_call_raised_before_got_out(is_said, before, expected):
    assert is_said(before=before) is expected
