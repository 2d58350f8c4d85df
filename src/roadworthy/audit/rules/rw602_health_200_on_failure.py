"""RW602: a health route sees that something is away, and answers 200."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow import caught, reach
from roadworthy.audit.dataflow.outcomes import outcome
from roadworthy.audit.fastapi.health_routes import is_health
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.flow import Handler
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, walk

__all__ = ["RULE"]

_BAD_WORDS: Final = frozenset(
    {"unhealthy", "down", "error", "failed", "fail", "unreachable", "disconnected", "not ready"}
)
_OK: Final = 200
_OF_THE_CODE: Final = frozenset(
    {
        *(f"builtins.{name}Error" for name in ("FileNotFound", "FileExists", "Key", "Value")),
        *(f"builtins.{name}Error" for name in ("Type", "Attribute", "Index", "Lookup", "Import")),
        *("builtins.ModuleNotFoundError", "importlib.metadata.PackageNotFoundError"),
        *("builtins.UnicodeDecodeError", "json.JSONDecodeError", "builtins.StopIteration"),
    }
)
"""Errors that say nothing of whether something the service depends on is there."""


def _check(route: Route) -> Iterator[Hit]:
    if not is_health(route) or _answers_with_a_status(route.function):
        return
    function = route.function
    for handler in function.flow.handlers:
        if _answers_200(handler, function):
            yield _hit(route, handler.node, function)
            return
    yield from _said(route)
    yield from _in_helpers(route)


def _answers_with_a_status(function: Function) -> bool:
    """Return whether a route can answer something else than 200."""
    return bool(function.flow.raises) or any(_statuses_set(function))


def _statuses_set(function: Function) -> Iterator[ast.AST]:
    """Return where a function gives its answer a status."""
    for event in function.flow.assigns:
        targets = event.node.targets if isinstance(event.node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Attribute) and target.attr == "status_code":
                yield event.node
    for one in reach.calls(function):
        response = last_name(one.call.node.func).endswith("Response")
        if response and any(word.arg == "status_code" for word in one.call.node.keywords):
            yield one.call.node


def _answers_200(handler: Handler, function: Function) -> bool:
    kinds = {"" if one is None else one.name for one in caught.types(handler.node, function)}
    if kinds <= _OF_THE_CODE:
        return False
    ends = outcome(handler.node.body, function)
    return ends.kind == "go on" or (ends.kind == "return" and ends.status == _OK)


def _said(route: Route) -> Iterator[Hit]:
    """Find `return {"status": "unhealthy"}`, also as a tuple with a status that is not sent."""
    for event in route.function.flow.returns:
        value = event.node.value if isinstance(event.node, ast.Return) else None
        words = {
            node.value.lower()
            for node in (walk(value) if value is not None else ())
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if words & _BAD_WORDS and any(event.blocks("if", "else", "handler")):
            yield _hit(route, event.node, route.function)
            return


def _in_helpers(route: Route) -> Iterator[Hit]:
    """Find helpers that catch the failure, where the route looks at no result."""
    if any(isinstance(node, ast.If | ast.IfExp) for node in walk(route.function.node)):
        return
    for one in reach.calls(route.function):
        called = reach.callee(one)
        for handler in () if called is None else called.flow.handlers:
            if called is not None and _answers_200(handler, called):
                hit = _hit(route, one.call.node, route.function)
                flow = reach.steps(one, route.title, route.function)
                yield Hit(
                    place=hit.place, message=hit.message, confidence=Confidence.MEDIUM, flow=flow
                )
                return


def _hit(route: Route, node: ast.AST, function: Function) -> Hit:
    return Hit(
        place=function.place(node),
        message=(
            f"{route.title} sees the failure and answers 200: balancers and monitors read the "
            "status, not the body, and keep sending requests here."
        ),
    )


_TOP = """
from fastapi import FastAPI, Response
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

app = FastAPI()
engine = create_engine("postgresql://localhost/shop")
"""

_BAD = Example(
    _TOP
    + """
@app.get("/health")
def health():
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        database = True
    except SQLAlchemyError:  # found
        database = False
    return {"database": database}
"""
)

_BAD_WORD = Example(
    _TOP
    + """
@app.get("/readyz")
def ready():
    if reachable(engine):
        return {"status": "UP"}
    return {"status": "UP"} if reachable(engine) else {"status": "maintenance"}

@app.get("/health")
def health():
    if not reachable(engine):
        return {"status": "DOWN"}  # found
    return {"status": "UP"}
"""
)

_GOOD = Example(
    _TOP
    + """
@app.get("/health")
def health(response: Response):
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError:
        response.status_code = 503
        return {"database": False}
    return {"database": True}
"""
)

RULE: Final = Rule(
    code="RW602",
    name="health-200-on-failure",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="A health route answers 200 although a check has failed.",
    why="""Balancers, orchestrators and monitors read the status of a health route and nothing
else. A 200 that says "unhealthy" inside keeps a broken instance in service.""",
    mend='raise HTTPException(503, "The database is away."), or response.status_code = 503.',
    ours="`Health` of `roadworthy.health` answers 503 where a critical check fails.",
    bad=(_BAD, _BAD_WORD),
    good=(_GOOD,),
)
"""Finds health routes that answer 200 when a check has failed."""
