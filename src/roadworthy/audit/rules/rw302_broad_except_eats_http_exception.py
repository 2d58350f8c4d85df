"""RW302: a 404 that is raised in a `try` is answered as a 500."""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from roadworthy.audit.analyses.detached import no_client_waits
from roadworthy.audit.analyses.propagation import Escape, Swallowed, ways
from roadworthy.audit.dataflow import caught
from roadworthy.audit.dataflow.outcomes import Outcome, outcome
from roadworthy.audit.fastapi.routes import route_of
from roadworthy.audit.model.finding import Confidence, Severity, Step
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.flow import Call, Handler
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import same, written

__all__ = ["RULE"]

_SENT_ON: Final = range(300, 400)


def _check(function: Function) -> Iterator[Hit]:
    if not any(_is_broad(one, function) for one in function.flow.handlers):
        return
    eaten: dict[int, list[Swallowed]] = {}
    for one in ways(function).eaten:
        if _is_asked_before(one, function):
            continue
        if _is_broad(one.handler, function):
            eaten.setdefault(id(one.handler), []).append(one)
    if eaten and no_client_waits(function):
        return
    for group in eaten.values():
        yield from _hit(group, function)


def _is_asked_before(one: Swallowed, function: Function) -> bool:
    """Return whether the same call stands before the `try`, where its answer gets out."""
    if not one.escape.chain:
        return False
    call = one.escape.chain[0].call
    return any(
        _is_alike(before.node, call.node)
        and one.handler.tried not in before.tries()
        and _runs_before(before, one.handler)
        for before in function.flow.calls
    )


def _runs_before(call: Call, handler: Handler) -> bool:
    """Return whether a call runs whenever a `try` below it does."""
    around = [*(handler.block.chain() if handler.block is not None else ())]
    outside = all(one in around for one in call.blocks())
    return outside and call.statement.lineno < handler.tried.lineno


def _is_alike(one: ast.Call, other: ast.Call) -> bool:
    """Return whether two calls are written alike, with plain names and attributes."""
    if len(one.args) != len(other.args) or len(one.keywords) != len(other.keywords):
        return False
    named = {word.arg: word.value for word in other.keywords}
    return (
        same(one.func, other.func)
        and all(map(same, one.args, other.args))
        and all(same(word.value, named.get(word.arg)) for word in one.keywords)
    )


def _is_broad(handler: Handler, function: Function) -> bool:
    return caught.breadth(handler.node, function) is caught.Breadth.ALL


def _hit(group: Sequence[Swallowed], function: Function) -> Iterator[Hit]:
    handler = group[0].handler
    becomes = outcome(handler.node.body, function)
    changed = [one.escape for one in group if one.escape.status != becomes.status]
    shown = min(changed or [one.escape for one in group], key=lambda escape: len(escape.chain))
    yield Hit(
        place=function.place(handler.node),
        message=_message(shown, becomes, handler, function),
        confidence=_confidence(shown, becomes, function, changed=bool(changed)),
        flow=_flow(shown, handler, function),
    )


def _confidence(
    escape: Escape, becomes: Outcome, function: Function, *, changed: bool
) -> Confidence:
    in_route = route_of(function) is not None
    if becomes.kind == "go on" or not (in_route or becomes.status is not None):
        return Confidence.LOW  # as it is meant: `except Exception: return None`
    if becomes.status in _SENT_ON:
        return Confidence.LOW  # a page that sends on whoever fails, to its own sign-in
    if not in_route and (becomes.kind == "return" or becomes.crashes):
        return Confidence.LOW
    if not changed:
        return Confidence.LOW  # clients, caches and alarms read the status
    if becomes.status is None:
        return Confidence.MEDIUM
    return Confidence.HIGH if len(escape.chain) <= 1 else Confidence.MEDIUM


def _message(escape: Escape, becomes: Outcome, handler: Handler, function: Function) -> str:
    was = "An HTTPException" if escape.status is None else f"The {escape.status}"
    how = f"`{written(handler.node.type)}`" if handler.node.type is not None else "`except:`"
    where = "" if escape.scope is function else f" in {escape.scope.name}()"
    return (
        f"{was} raised{where} (line {escape.node.lineno}) is caught by {how}: "
        f"the client gets {_answer(becomes, escape)}."
    )


def _answer(becomes: Outcome, escape: Escape) -> str:
    if becomes.kind == "go on":
        return "no error, and the code goes on as if nothing had failed"
    if becomes.status is None:
        return "another error instead"
    if becomes.status == escape.status:
        return f"a {becomes.status} with another text"
    return f"a {becomes.status} instead"


def _flow(escape: Escape, handler: Handler, function: Function) -> tuple[Step, ...]:
    calls = tuple(
        Step(
            one.scope.module.path,
            one.call.node.lineno,
            f"calls {written(one.call.node.func)}()",
        )
        for one in escape.chain
    )
    status = "" if escape.status is None else f" {escape.status}"
    return (
        *calls,
        Step(escape.scope.module.path, escape.node.lineno, f"raises HTTPException{status}"),
        Step(function.module.path, handler.node.lineno, "is caught here"),
    )


_DIRECT = Example(
    """
from fastapi import APIRouter, HTTPException

router = APIRouter()
stock = {"item-001": 3}

@router.get("/stock/{item_id}")
async def read_stock(item_id: str):
    try:
        if item_id not in stock:
            raise HTTPException(status_code=404, detail="No such item")
        return {"quantity": stock[item_id]}
    except Exception as error:  # found
        raise HTTPException(status_code=500, detail="Could not read the stock")
""",
    "Who asks for an unknown item is told that the server is broken.",
)

_HELPER = Example(
    """
# file: shop/orders.py
from fastapi import HTTPException, status

class Orders:
    def __init__(self):
        self.rows = {}

    async def find(self, order_id: str):
        order = self.rows.get(order_id)
        if order is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, "No such order")
        return order
# file: shop/app.py
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from shop.orders import Orders

app = FastAPI()
orders = Orders()

@app.post("/orders/{order_id}/cancel")
async def cancel_order(order_id: str):
    try:
        order = await orders.find(order_id)
        order.cancel()
    except ValueError:
        return JSONResponse({"reason": "already sent"}, status_code=409)
    except Exception:  # found
        return JSONResponse({"reason": "unexpected"}, status_code=500)
    return {"status": "cancelled"}
""",
    "The 404 is raised in another file.",
)

_TUPLE = Example(
    """
from fastapi import FastAPI, HTTPException

app = FastAPI()
keys = {"k-1": "anna"}

class Forbidden(HTTPException):
    def __init__(self, text: str):
        super().__init__(status_code=403, detail=text)

@app.get("/reports/{name}")
def read_report(name: str, key: str):
    denied = Forbidden("This key reads no reports")
    try:
        if keys.get(key) is None:
            raise denied
        with open(f"/srv/reports/{name.replace('/', '')}") as file:
            return file.read()
    except (OSError, Exception):  # found
        raise HTTPException(404, "No such report") from None
""",
    "A 403 becomes a 404: nobody learns that the key is wrong.",
)

_RAISES_AGAIN = Example(
    """
from fastapi import APIRouter, HTTPException

router = APIRouter()
stock = {"item-001": 3}

@router.get("/stock/{item_id}")
async def read_stock(item_id: str):
    try:
        if item_id not in stock:
            raise HTTPException(status_code=404, detail="No such item")
        return {"quantity": stock[item_id]}
    except HTTPException:
        raise
    except Exception as error:
        raise HTTPException(status_code=500, detail="Could not read the stock") from error

@router.delete("/stock/{item_id}", status_code=204)
async def remove_item(item_id: str):
    try:
        if item_id not in stock:
            raise HTTPException(status_code=404, detail="No such item")
        del stock[item_id]
    except Exception as error:
        if isinstance(error, HTTPException):
            raise error
        raise HTTPException(status_code=500, detail="Could not remove it") from error
""",
    "What is meant for the client passes; the rest becomes a 500.",
)

_NARROW = Example(
    """
from fastapi import APIRouter, HTTPException

router = APIRouter()
prices = {"item-001": "9.99"}

def price_of(item_id: str) -> str:
    if item_id not in prices:
        raise HTTPException(status_code=404, detail="No such item")
    return prices[item_id]

@router.get("/prices/{item_id}")
async def read_price(item_id: str):
    text = price_of(item_id)
    try:
        return {"price": float(text)}
    except Exception as error:
        raise HTTPException(status_code=500, detail="The price is not a number") from error

@router.get("/offers/{item_id}")
async def read_offer(item_id: str):
    try:
        return {"price": price_of(item_id)}
    except ValueError as error:
        raise HTTPException(status_code=500, detail="The price is not a number") from error
""",
    "Only what may fail stands in the `try`, or only what is expected is caught.",
)

_NO_ANSWER = Example(
    """
# file: shop/tools.py
from fastapi import HTTPException

async def find(name: str) -> dict:
    if name != "hammer":
        raise HTTPException(404, "No such tool")
    return {"name": name}

class Server:
    async def call(self, name: str) -> dict:
        try:
            return await find(name)
        except Exception as error:
            raise RuntimeError(f"{name} did not work") from error
""",
    "A tool's error is no answer of HTTP: what calls it may be no route.",
)

RULE: Final = Rule(
    code="RW302",
    name="broad-except-eats-http-exception",
    severity=Severity.MEDIUM,
    looks="function",
    check=_check,
    summary="`except Exception` catches the HTTPException that was raised for the client.",
    why="""`HTTPException` is an `Exception`. Where a 404 or a 403 is raised inside a `try` with
`except Exception`, that clause answers instead: the client is told 500, tries again what can
never succeed, and whoever watches the service is woken for an error that is none. The
exception may be raised in a function that is called there, in another file.""",
    mend="Put `except HTTPException: raise` before it, or only what may fail into the `try`.",
    ours="`roadworthy.problems` answers whatever is not caught, once, for every route: no `try`.",
    bad=(_DIRECT, _HELPER, _TUPLE),
    good=(_RAISES_AGAIN, _NARROW, _NO_ANSWER),
)
"""Finds `except Exception` clauses that catch an HTTPException meant for the client."""
