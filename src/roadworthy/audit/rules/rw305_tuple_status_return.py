"""RW305: `return body, 503` is a 200 in FastAPI."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.statuses import status_of
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Example, Hit, Rule

__all__ = ["RULE"]


def _check(route: Route) -> Iterator[Hit]:
    function = route.function
    for event in function.flow.returns:
        match event.node:
            case ast.Return(value=ast.Tuple(elts=[_, second, *rest])) if not rest[1:]:
                status = status_of(second, function)
                if status is not None and 100 <= status < 600:  # noqa: PLR2004 - RFC 9110 §15
                    yield Hit(
                        place=function.place(event.node),
                        message=_message(status),
                        fixable=not rest,
                    )
            case _:
                pass


def _message(status: int) -> str:
    return (
        f"FastAPI sends this tuple as a JSON array with status 200: the client never sees "
        f"{status}, and finds the body in an array."
    )


_BAD = Example("""
from fastapi import FastAPI, status

app = FastAPI()

@app.get("/stock")
def stock():
    if warehouse() is None:
        return {"error": "away"}, 503  # found
    return {"items": []}, status.HTTP_200_OK  # found
""")

_GOOD = Example("""
from fastapi import FastAPI
from fastapi.responses import JSONResponse

app = FastAPI()

@app.get("/stock")
def stock():
    if warehouse() is None:
        return JSONResponse({"reason": "away"}, status_code=503)
    return {"items": []}

@app.get("/size")
def size():
    return 3, 4
""")

RULE: Final = Rule(
    code="RW305",
    name="tuple-status-return",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    summary="A route returns `body, status` as in Flask; FastAPI answers 200 with an array.",
    why="""FastAPI serialises what a route returns. A tuple becomes a JSON array of the body and the
number, with status 200. A health check that means 503 says that all is well.""",
    mend="return JSONResponse(body, status_code=503), or raise HTTPException(503).",
    ours="`raise` a `Problem` of `roadworthy.problems`: its status is part of it.",
    bad=(_BAD,),
    good=(_GOOD,),
)
"""Finds routes that return `body, status` as Flask takes it."""
