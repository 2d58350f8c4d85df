"""RW303: a failure is answered with success."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.statuses import response_status, status_of
from roadworthy.audit.fastapi import verdicts
from roadworthy.audit.fastapi.models import is_model
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.module import Assigned, Function

__all__ = ["RULE"]

_FAILED: Final = frozenset({"error", "failed", "failure", "fail"})
_NAMED: Final = frozenset({"error", "errors"})
_ERRORS: Final = 400
_STATUS_FALSE: Final = "status: false"


def _check(route: Route) -> Iterator[Hit]:
    function = route.function
    if verdicts.reports(route) or _says_status(route):
        return
    found = [(event, how) for event in function.flow.returns if (how := _failure(event, route))]
    if found:
        event, how = min(found, key=lambda one: not _in_clause(one[0]))
        yield Hit(
            place=function.place(event.node),
            message=_message(how, len(found)),
            confidence=_confidence(event, function),
        )


def _confidence(event: Event, function: Function) -> Confidence:
    if _in_clause(event):
        return Confidence.HIGH
    return Confidence.LOW if _is_recorded(event, function) else Confidence.MEDIUM


def _is_recorded(event: Event, function: Function) -> bool:
    """Return whether an answer tells of what was just written down: that worked."""
    return any(
        call.block is event.block
        and isinstance(call.node.func, ast.Attribute)
        and call.node.func.attr == "commit"
        for call in function.flow.calls
    )


def _says_status(route: Route) -> bool:
    """Return whether the route answers with a status of its own making."""
    said = route.option("status_code")
    if said is not None and (status_of(said, route.function) or 0) >= _ERRORS:
        return True
    return any(
        isinstance(target, ast.Attribute) and target.attr == "status_code"
        for event in route.function.flow.assigns
        for target in (event.node.targets if isinstance(event.node, ast.Assign) else ())
    )


def _in_clause(event: Event) -> bool:
    return any(event.blocks("handler"))


def _failure(event: Event, route: Route) -> str:
    """Return what in an answer says that it failed; empty where nothing does."""
    if not any(event.blocks("handler", "if", "else")):
        return ""
    value = event.node.value if isinstance(event.node, ast.Return) else None
    if isinstance(value, ast.Call):
        return _of_call(value, event, route)
    return _of_dict(value, event) if isinstance(value, ast.Dict) else ""


def _of_call(call: ast.Call, event: Event, route: Route) -> str:
    status = response_status(call, route.function)
    if status == 200:  # noqa: PLR2004 - OK
        content = next((one for one in call.args[:1]), None)
        content = next((k.value for k in call.keywords if k.arg == "content"), content)
        return _of_dict(content, event) if isinstance(content, ast.Dict) else ""
    if status is not None or not _in_clause(event):
        return ""
    made = names.resolve(call.func, route.function)
    if made is not None and made.function is not None:
        return _of_helper(made.function)
    return _of_model(call, route.function)


def _of_model(call: ast.Call, function: Function) -> str:
    if not is_model(names.resolve(call.func, function)):
        return ""
    return next((said for one in call.keywords if (said := _member(one.arg, one.value))), "")


def _of_helper(function: Function) -> str:
    """Return what every answer that a helper makes says of a failure."""
    said = [_made(event, function) for event in function.flow.returns]
    return said[0] if said and all(said) else ""


def _made(event: Event, function: Function) -> str:
    value = event.node.value if isinstance(event.node, ast.Return) else None
    bound = function.names.get(value.id, []) if isinstance(value, ast.Name) else []
    only = bound[0] if len(bound) == 1 else None
    node = only.value if isinstance(only, Assigned) else value
    match node:
        case ast.Dict():
            return _sure(_said(node))
        case ast.Call():
            return _of_model(node, function)
        case _:
            return ""


def _of_dict(node: ast.Dict, event: Event) -> str:
    said = _said(node)
    caught = _in_clause(event)
    named = [one for one in said if caught or not ('"' in one or one == _STATUS_FALSE)]
    return _sure(named, alone=_alone(node, event))


def _said(node: ast.Dict) -> list[str]:
    """Return what members of an answer say of a failure."""
    found = [
        _member(key.value, value)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    return [one for one in found if one]


def _sure(said: list[str], *, alone: bool = False) -> str:
    sure = [one for one in said if one not in _NAMED] or (said if alone else [])
    return sure[0] if sure else ""


def _alone(node: ast.Dict, event: Event) -> bool:
    """Return whether an `error` is all that is answered, or comes from an except clause."""
    return _in_clause(event) or len(node.keys) <= 2  # noqa: PLR2004 - the error, and one more


def _member(name: str | None, value: ast.expr) -> str:  # noqa: PLR0911 - a table
    match name, value:
        case (("success" | "ok"), ast.Constant(value=False)):
            return f"{name}: false"
        case "status", ast.Constant(value=False):
            return _STATUS_FALSE
        case (("status" | "state" | "result"), ast.Constant(value=str() as text)):
            return f'{name}: "{text}"' if text.lower() in _FAILED else ""
        case (("code" | "status_code" | "status"), ast.Constant(value=int() as number)):
            return f"{name}: {number}" if _ERRORS <= number < 600 else ""  # noqa: PLR2004
        case (("error" | "errors"), ast.Constant(value=None | False | "" | 0)):
            return ""  # a protocol's way of saying that there was none
        case (("error" | "errors"), ast.List(elts=[])):
            return ""
        case (("error" | "errors"), _):
            return name
        case _:
            return ""


def _message(how: str, number: int) -> str:
    more = f" ({number - 1} more in this route)" if number > 1 else ""
    return (
        f"This failure (`{how}`) is answered with 200: clients, retries, caches and alarms take it "
        f"for success{more}."
    )


_BAD = Example("""
from fastapi import APIRouter

router = APIRouter()

@router.get("/stock")
async def stock():
    try:
        return {"items": await load()}
    except TimeoutError:
        return {"error": "The warehouse does not answer"}  # found

@router.delete("/stock")
async def clear():
    try:
        await remove()
    except OSError:
        return {"status": False}  # found
    return {"status": True}

@router.post("/orders/{number}/cancel")
async def cancel(number: int):
    order = await find(number)
    if order is None:
        return {"success": False, "message": "No such order"}  # found
    return {"success": True}
""")

_GOOD = Example("""
from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import JSONResponse

router = APIRouter()

@router.get("/stock")
async def stock(response: Response):
    try:
        return {"items": await load()}
    except TimeoutError:
        response.status_code = 503
        return {"error": "The warehouse does not answer"}

@router.post("/orders/{number}/cancel")
async def cancel(number: int):
    if await find(number) is None:
        raise HTTPException(404, "No such order")
    return {"success": True, "error": None}

@router.post("/documents/callback")
async def document_callback(status: int):
    if status == 1:
        return {"error": 0}
    return {"error": 0, "saved": True}

@router.get("/orders/{number}/payment")
async def payment(number: int):
    paid = await find(number)
    if paid is None:
        return JSONResponse({"error": "No such order"}, status_code=404)
    return {"paid": False}

@router.post("/vouchers/validate")
async def validate_voucher(code: str):
    if not code.isdecimal():
        return {"success": False}
    return {"success": True}
""")

RULE: Final = Rule(
    code="RW303",
    name="error-returned-as-200",
    severity=Severity.LOW,
    looks="route",
    check=_check,
    summary="A route answers a failure with status 200.",
    why="""The status is what everything between the service and its users reads: clients decide by
it whether to try again, caches whether to keep the answer, monitors whether to wake somebody. A
failure with 200 is kept, not tried again, and seen by nobody.""",
    mend='raise HTTPException(404, "No such order"), or return JSONResponse(…, status_code=503).',
    ours="`Problem` of `roadworthy.problems` declares an error once, with its status and code.",
    bad=(_BAD,),
    good=(_GOOD,),
)
"""Finds routes that answer a failure with status 200."""
