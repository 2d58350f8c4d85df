"""Handlers of errors: which answer what clients sent, and in whose shape."""

import pytest

from roadworthy.audit.rules import RULES
from roadworthy.audit.run.engine import audit

BY_HAND = """
import json
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter, ValidationError
from shop import cache, stored

app = FastAPI()

class Order(BaseModel):
    number: int

orders = TypeAdapter(list[Order])

@app.exception_handler(ValidationError)
async def invalid(request: Request, error: ValidationError):
    return JSONResponse({{"detail": error.title}}, status_code=400)

def parsed(text: str) -> Order:
    return Order.model_validate_json(text)

@app.post("/orders")
async def add(request: Request, text: str = Form(), kept: str = Depends(stored)):
    {body}
    return {{}}
"""


@pytest.fixture
def is_found(write):
    def ask(source: str, code: str) -> bool:
        folder = write(source)
        rule = [one for one in RULES if one.code == code]
        return bool(audit([folder], root=folder, rules=rule, processes=1).findings)

    return ask


@pytest.mark.parametrize(
    "body",
    [
        "Order.model_validate_json(text)",
        "Order.parse_raw(text)",
        "Order.model_validate(json.loads(text))",
        "Order(**json.loads(text))",
        "parsed(text)",
        "parsed(text.strip())",
        "data = await request.json()\n    Order.model_validate(data['order'])",
        "data = json.loads(await request.body())\n    orders.validate_python(data)",
        "orders.validate_json(text)",
    ],
)
def test_a_handler_for_what_is_validated_by_hand_is_right(is_found, body):
    assert not is_found(BY_HAND.format(body=body), "RW304")


@pytest.mark.parametrize(
    "body",
    [
        "parsed(cache.get(text))",
        "parsed(kept)",
        "Order.model_validate_json(kept)",
        "Order(number=3)",
        "row = cache.find(text)\n    Order.model_validate(row)",
        (
            "try:\n        parsed(text)\n    except ValidationError:\n"
            "        raise HTTPException(422, 'no')"
        ),
        "stored.model_validate_json(text)",
    ],
)
def test_a_handler_of_the_service_s_own_mistakes_is_found(is_found, body):
    assert is_found(BY_HAND.format(body=body), "RW304")


SHAPES = """
from fastapi import FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse

app = FastAPI()

class Closed(Exception): ...

def as_http(error: Exception) -> HTTPException:
    return HTTPException(409, str(error))

@app.exception_handler(Closed)
async def closed(request: Request, error: Closed):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("raise HTTPException(409, 'closed')", False),
        ("raise as_http(error)", False),
        ("raise as_http(error) from error", False),
        ("return await http_exception_handler(request, as_http(error))", False),
        ("return JSONResponse({'detail': 'closed'}, 409)", False),
        ("return JSONResponse({'code': 'closed'}, 409)", True),
        ("if error.args: raise as_http(error)\n    return JSONResponse({'code': 'no'}, 409)", True),
    ],
)
def test_a_handler_that_raises_has_no_shape_of_its_own(is_found, body, found):
    assert is_found(SHAPES.format(body=body), "RW306") is found


CARRIED = """
from typing import Any, cast
import typing as t
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from shop import keep

class DomainError(Exception):
    def __init__(self, key: str, override: str | None = None):
        self.key = key
        self.message = override

class UploadFailed(DomainError):
    def __init__(self, message: str | None = None):
        super().__init__(key="UPLOAD", override=message or "failed")

async def answer(request: Request, error: DomainError):
    return JSONResponse({{"code": error.key, "message": error.{sends}}}, 400)

app = FastAPI({arguments})
{registers}

@app.post("/x")
async def x(request: Request):
    try:
        await keep(request)
    except Exception as error:
        raise UploadFailed(message=f"failed: {{error}}")
"""


@pytest.mark.parametrize(
    ("registers", "arguments"),
    [
        ("app.add_exception_handler(DomainError, answer)", ""),
        ("app.add_exception_handler(DomainError, cast(Any, answer))", ""),
        ("app.add_exception_handler(UploadFailed, t.cast(t.Any, answer))", ""),
        ("", "exception_handlers={DomainError: cast(Any, answer)}"),
    ],
)
def test_a_text_is_followed_to_a_handler_that_is_cast(is_found, registers, arguments):
    source = CARRIED.format(registers=registers, arguments=arguments, sends="{}")

    assert is_found(source.replace("{}", "message"), "RW301")
    assert not is_found(source.replace("{}", "key"), "RW301")
