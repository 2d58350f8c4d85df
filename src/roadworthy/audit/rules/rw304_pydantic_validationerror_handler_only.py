"""RW304: a handler for pydantic's ValidationError, which no request ever raises."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.analyses.hand_validated import validates_by_hand
from roadworthy.audit.fastapi import handlers
from roadworthy.audit.fastapi.routes import routes_of
from roadworthy.audit.fastapi.service import Service
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.place import Place
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Module

__all__ = ["RULE"]

_PYDANTIC: Final = "pydantic.ValidationError"
_REQUEST: Final = "fastapi.exceptions.RequestValidationError"


@dataclass(frozen=True, slots=True)
class _Seen:
    """Handlers of a module that matter here."""

    pydantic: tuple[Place, ...]
    request: bool
    by_hand: bool
    """Whether a route lets out what Pydantic says of what a client sent."""


def _collect(module: Module) -> object:
    found = list(handlers.registered_in(module))
    pydantic = tuple(one.place for one in found if one.name == _PYDANTIC)
    request = any(one.name in {_REQUEST, "422", ""} for one in found)
    by_hand = _is_handled_anywhere(module) and any(map(validates_by_hand, routes_of(module)))
    return _Seen(pydantic, request, by_hand) if pydantic or request or by_hand else None


def _is_handled_anywhere(module: Module) -> bool:
    return any(one.name == _PYDANTIC for one in handlers.registered_anywhere(module))


def _check(service: Service) -> Iterator[Hit]:
    seen = [one for _, one in service.collected.get("RW304", []) if isinstance(one, _Seen)]
    if any(one.request or one.by_hand for one in seen):
        return
    for one in seen:
        for place in one.pydantic:
            yield Hit(place=place, message=_MESSAGE)


_MESSAGE: Final = (
    "No invalid request gets here: FastAPI raises RequestValidationError, and clients see its own "
    "422. What does get here are the service's own mistakes, and they are blamed on the client."
)

_BAD = Example("""
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

app = FastAPI()

@app.exception_handler(ValidationError)  # found
async def invalid(request: Request, error: ValidationError):
    return JSONResponse({"code": "INVALID"}, status_code=422)
""")

_GOOD = Example("""
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

app = FastAPI()

@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError):
    return JSONResponse({"code": "INVALID"}, status_code=422)
""")

RULE: Final = Rule(
    code="RW304",
    name="pydantic-validationerror-handler-only",
    severity=Severity.LOW,
    looks="service",
    check=_check,
    collect=_collect,
    summary="Only pydantic's ValidationError has a handler; requests raise another one.",
    why="""FastAPI raises `RequestValidationError` for a request that does not fit, which is no
`pydantic.ValidationError`. The handler is never called for requests. It is called where the
service builds a model from what it has stored, and fails: a bug is answered with 422, with the
stored row in it.""",
    mend="@app.exception_handler(RequestValidationError), from fastapi.exceptions.",
    ours="`problems.install(app)` of `roadworthy.problems` handles both, each as what it is.",
    bad=(_BAD,),
    good=(_GOOD,),
)
"""Finds handlers for the ValidationError that requests never raise."""
