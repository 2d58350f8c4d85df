"""Answers of failures that a helper builds: what it says in each of its returns counts."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

RULE = [one for one in RULES if one.code == "RW303"]
SOURCE = """
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from shop import load

app = FastAPI()

class Answer(BaseModel):
    success: bool
    message: str = ""

class Answers:
    @staticmethod
    def failed(message: str):
        {body}

@app.get("/stock")
async def stock():
    try:
        return await load()
    except {kind} as error:
        {returns}
"""
USUAL = "return Answers.failed(str(error))"


@pytest.fixture
def is_found(write):
    def ask(body: str, returns: str = USUAL, kind: str = "Exception") -> bool:
        folder = write(SOURCE.format(body=body, returns=returns, kind=kind))
        return bool(audit([folder], root=folder, rules=RULE, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "body",
    [
        "return Answer(success=False, message=message)",
        "made = Answer(success=False, message=message)\n        return made",
        "return {'success': False, 'message': message}",
        "return {'status': 'error', 'message': message}",
        "made = {'ok': False}\n        return made",
        (
            "if message:\n            return Answer(success=False, message=message)\n"
            "        return Answer(success=False)"
        ),
    ],
)
def test_a_helper_that_says_failed_is_looked_into(is_found, body):
    assert is_found(body)
    assert is_found(body, kind="TimeoutError")


@pytest.mark.parametrize(
    "body",
    [
        "return Answer(success=True, message=message)",
        "return JSONResponse({'success': False}, status_code=503)",
        (
            "if message:\n            return Answer(success=True)\n"
            "        return Answer(success=False)"
        ),
        "made = Answer(success=False)\n        made = load(made)\n        return made",
        "raise RuntimeError(message)",
        "return message",
        "return {'message': message, 'error': message, 'at': 3}",
    ],
)
def test_a_helper_that_may_say_something_else_is_quiet(is_found, body):
    assert not is_found(body)


def test_it_must_be_what_is_answered(is_found):
    body = "return Answer(success=False, message=message)"

    assert not is_found(body, returns="print(Answers.failed(str(error)))\n        raise")
    assert not is_found(body, returns="return len(Answers.failed(str(error)))")
