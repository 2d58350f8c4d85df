"""Which handlers of errors answer in a shape of their own, and which in FastAPI's."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = next(rule for rule in RULES if rule.code == "RW306")
SOURCE = """
from typing import Any
from fastapi import FastAPI, HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

app = FastAPI()

class SoldOut(Exception): ...

class Told(BaseModel):
    success: bool = False
    message: str

def body(text: str, code: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {{"detail": text}}
    if code:
        made["error_code"] = code
    return made

def told(text: str) -> Told:
    return Told(message=text)

def other(text: str) -> dict:
    return {{"message": text}}

@app.exception_handler({kind})
async def answer(request: Request, error: {kind}):
    return {answer}
"""
FASTAPIS = [
    "JSONResponse({'detail': 'none'}, 409)",
    "JSONResponse(status_code=409, content={'detail': 'none', 'error_code': 'NONE'})",
    "JSONResponse(status_code=409, content=body('none', 'NONE'))",
    "JSONResponse(jsonable_encoder(body('none')), 409)",
    "await http_exception_handler(request, error)",
]
OWN = [
    "JSONResponse({'error': 'none'}, 409)",
    "JSONResponse(other('none'), 409)",
    "JSONResponse(content=told('none').model_dump(), status_code=409)",
    "JSONResponse(content=Told(message='none').dict(), status_code=409)",
    "JSONResponse(jsonable_encoder({'message': 'none'}), 409)",
]


@pytest.fixture
def messages(write):
    def ask(kind: str, answer: str) -> list[str]:
        folder = write(SOURCE.format(kind=kind, answer=answer))
        found = audit([folder], root=folder, rules=[RULE], processes=1).findings
        return [one.message for one in found]

    return ask


@pytest.mark.parametrize("kind", ["SoldOut", "HTTPException"])
@pytest.mark.parametrize("answer", FASTAPIS)
def test_who_reads_detail_reads_all_of_it(messages, kind, answer):
    assert messages(kind, answer) == []


@pytest.mark.parametrize("answer", OWN)
def test_errors_of_the_project_may_have_another_shape_than_fastapis(messages, answer):
    (said,) = messages("SoldOut", answer)

    assert "HTTPException" in said


@pytest.mark.parametrize("answer", OWN)
def test_an_own_shape_of_http_errors_leaves_invalid_requests_in_fastapis(messages, answer):
    (said,) = messages("HTTPException", answer)

    assert "invalid requests (422)" in said


@pytest.mark.parametrize("answer", ["HTMLResponse('<p>none</p>', 404)", "made_elsewhere(error)"])
def test_a_page_for_http_errors_and_what_is_not_known_say_nothing(messages, answer):
    assert messages("HTTPException", answer) == []
