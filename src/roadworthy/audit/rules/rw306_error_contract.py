"""RW306: clients have to read errors in several shapes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow import caught
from roadworthy.audit.dataflow.caught import Breadth
from roadworthy.audit.fastapi import handlers
from roadworthy.audit.fastapi.body_shapes import Members, members_of_answer
from roadworthy.audit.fastapi.handlers import Registered
from roadworthy.audit.fastapi.service import Service
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.place import Place
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Function, Imported, Module
from roadworthy.audit.source.nodes import last_name, walk

__all__ = ["RULE"]

_HTTP: Final = "fastapi.HTTPException"
_DETAIL: Final = "detail"
_NEEDED: Final = {
    "fastapi.exceptions.RequestValidationError": "invalid requests (422)",
    _HTTP: "HTTPException, and unknown paths (404, 405)",
    "builtins.Exception": "crashes (500)",
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """The handlers of a module."""

    names: frozenset[str]
    own: tuple[Place, ...]
    """Where exceptions of the project's own are answered."""
    only_fastapi: bool
    """Whether FastAPI's HTTPException is registered, which the router does not raise."""
    known: bool
    """Whether it is known what is registered."""


def _collect(module: Module) -> object:
    found = list(handlers.registered_in(module))
    crashes = any(map(_answers_crashes, module.functions))
    if not found and not crashes:
        return None
    own = tuple(one.place for one in found if _has_own_shape(one))
    names = {"builtins.Exception" if one.name == "500" else one.name for one in found}
    if crashes:
        names.add("builtins.Exception")
    known = all(one.name for one in found)
    return _Seen(frozenset(names), own, any(map(_is_fastapi_s, found)), known)


def _answers_crashes(function: Function) -> bool:
    """Return whether a middleware answers whatever nobody caught."""
    return function.param("call_next") is not None and any(
        caught.breadth(one.node, function) is Breadth.ALL
        and any(isinstance(node, ast.Return) for node in walk(one.node))
        for one in function.flow.handlers
    )


def _has_own_shape(one: Registered) -> bool:
    """Return whether a handler answers unlike FastAPI does."""
    values = [] if one.function is None else _answers(one.function)
    if one.exception is not None and one.exception.cls is not None:
        if one.function is not None and not values and one.function.flow.raises:
            return False  # another handler answers what this one raises
        known = one.function is not None and bool(values)
        return not (known and all(_is_fastapi_shaped(*each) for each in values))
    shapes = [members_of_answer(*each) for each in values]
    return one.name == _HTTP and bool(shapes) and all(_is_other(each) for each in shapes)


def _answers(function: Function) -> list[tuple[ast.expr | None, Function]]:
    return [(getattr(event.node, "value", None), function) for event in function.flow.returns]


def _is_fastapi_shaped(value: ast.expr | None, function: Function) -> bool:
    """Return whether an answer has a `detail`, or is left to FastAPI's own handler."""
    call = value.value if isinstance(value, ast.Await) else value
    if isinstance(call, ast.Call) and last_name(call.func).endswith("http_exception_handler"):
        return True
    return _DETAIL in (members_of_answer(call, function) or ())


def _is_other(members: Members) -> bool:
    """Return whether what is known of an answer is not FastAPI's."""
    return members is not None and _DETAIL not in members


def _is_fastapi_s(one: Registered) -> bool:
    """Return whether it is registered for FastAPI's class, and not for Starlette's."""
    if one.name != _HTTP:
        return False
    for node in walk(one.node):
        if isinstance(node, ast.Name):
            for binding in one.scope.module.names.get(node.id, ()):
                if isinstance(binding, Imported) and binding.name == "HTTPException":
                    return binding.module.startswith("fastapi")
    return False


def _check(service: Service) -> Iterator[Hit]:
    seen = [one for _, one in service.collected.get("RW306", []) if isinstance(one, _Seen)]
    own = [place for one in seen for place in one.own]
    if not own or not all(one.known for one in seen):
        return
    names = frozenset[str]().union(*(one.names for one in seen))
    missing = [what for name, what in _NEEDED.items() if name not in names]
    only = any(one.only_fastapi for one in seen) and "404" not in names
    if only and _HTTP in names:
        missing.append("unknown paths (404, 405), which the router raises as Starlette's class")
    if missing:
        yield Hit(
            place=min(own, key=lambda place: (place.path, place.line)),
            message=_message(len(own), missing),
            confidence=Confidence.MEDIUM,
        )


def _message(own: int, missing: list[str]) -> str:
    kinds = "kind of error has" if own == 1 else f"{own} kinds of errors have"
    return (
        f"{'This' if own == 1 else ''} {kinds} the service's own shape, but not: "
        f"{'; '.join(missing)}. Clients have to read both, or break on one."
    ).strip()


_BAD = Example("""
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

app = FastAPI()

class ShopError(Exception):
    code = "SHOP_ERROR"

@app.exception_handler(ShopError)  # found
async def failed(request: Request, error: ShopError):
    return JSONResponse({"error": {"code": error.code}}, status_code=400)
""")

_GOOD = Example("""
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

app = FastAPI()

class ShopError(Exception):
    code = "SHOP_ERROR"

async def failed(request: Request, error: Exception):
    code = error.code if isinstance(error, ShopError) else "FAILED"
    return JSONResponse({"error": {"code": code}}, status_code=400)

for kind in (ShopError, RequestValidationError, HTTPException, Exception):
    app.add_exception_handler(kind, failed)

app.add_exception_handler(ShopError, failed)
app.add_exception_handler(RequestValidationError, failed)
app.add_exception_handler(HTTPException, failed)
app.add_exception_handler(Exception, failed)
""")

_GOOD_SAME_SHAPE = Example(
    """
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse

app = FastAPI()

class SoldOut(Exception): ...

class Closed(Exception): ...

@app.exception_handler(SoldOut)
async def sold_out(request: Request, error: SoldOut):
    return JSONResponse(status_code=409, content={"detail": "Sold out"})

@app.exception_handler(Closed)
async def closed(request: Request, error: Closed):
    return await http_exception_handler(request, error)
""",
    "They answer in the shape that FastAPI has, so there is one.",
)

_GOOD_MIDDLEWARE = Example(
    """
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

app = FastAPI()

class SoldOut(Exception): ...

def answer(status: int) -> JSONResponse:
    return JSONResponse({"code": status}, status_code=status)

@app.middleware("http")
async def answer_crashes(request: Request, call_next):
    try:
        return await call_next(request)
    except Exception:
        return answer(500)

@app.exception_handler(SoldOut)
async def sold_out(request: Request, error: SoldOut):
    return answer(409)

@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException):
    return answer(error.status_code)

@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError):
    return answer(422)

@app.exception_handler(404)
async def unknown(request: Request, error: HTTPException):
    return answer(404)
""",
    "Crashes have a middleware, unknown paths a handler of their status.",
)

RULE: Final = Rule(
    code="RW306",
    name="error-contract",
    severity=Severity.LOW,
    looks="service",
    check=_check,
    collect=_collect,
    summary="Some errors have the service's own shape, and others FastAPI's.",
    why="""A service that answers its own errors as `{"error": {...}}` still answers invalid
requests and unknown paths as `{"detail": ...}`, and crashes as plain text, until these have
handlers, too. A client written for one shape breaks on the others.""",
    mend="Add handlers for RequestValidationError, starlette's HTTPException, and Exception.",
    ours="`problems.install(app)`: one shape for everything, also for what handlers cannot reach.",
    bad=(_BAD,),
    good=(_GOOD, _GOOD_SAME_SHAPE, _GOOD_MIDDLEWARE),
)
"""Finds services whose errors have two shapes."""
