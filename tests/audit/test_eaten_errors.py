"""Which `except Exception` takes an HTTPException's place, and which says as much as it did."""

import pytest

from roadworthy.audit.engine import audit
from roadworthy.audit.finding import Confidence
from roadworthy.audit.rules import RULES

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
