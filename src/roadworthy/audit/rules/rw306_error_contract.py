"""RW306: clients have to read errors in several shapes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit import handlers
from roadworthy.audit.finding import Confidence, Severity
from roadworthy.audit.handlers import Registered
from roadworthy.audit.module import Imported, Module
from roadworthy.audit.place import Place
from roadworthy.audit.rule import Example, Hit, Rule
from roadworthy.audit.service import Service

__all__ = ["RULE"]

_NEEDED: Final = {
    "fastapi.exceptions.RequestValidationError": "invalid requests (422)",
    "fastapi.HTTPException": "HTTPException, and unknown paths (404, 405)",
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
    if not found:
        return None
    own = tuple(one.place for one in found if one.exception is not None and one.exception.cls)
    names = frozenset("builtins.Exception" if one.name == "500" else one.name for one in found)
    return _Seen(names, own, any(map(_is_fastapi_s, found)), all(one.name for one in found))


def _is_fastapi_s(one: Registered) -> bool:
    """Return whether it is registered for FastAPI's class, and not for Starlette's."""
    if one.name != "fastapi.HTTPException":
        return False
    for node in ast.walk(one.node):
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
    if any(one.only_fastapi for one in seen) and "fastapi.HTTPException" in names:
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
    good=(_GOOD,),
)
"""The rule."""
