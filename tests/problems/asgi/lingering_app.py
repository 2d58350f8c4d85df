"""An application that refuses before it has read the body: served to test_lingering_close.py.

BOUNDS is what lingers ("bytes seconds pause"); INSTALL is "on", "off", or "wrapped" for
an application without the contract.
"""

import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware

from roadworthy import problems
from roadworthy.problems import Linger, LingeringClose, Problem

log = logging.getLogger("shop")

LIMIT = 1024 * 1024 * 1024


class NotSignedIn(Problem):
    """The caller has not said who they are."""

    status = 401


class NotAllowed(Problem):
    """The caller may not do this."""

    status = 403


def signed_in(authorization: Annotated[str | None, Header()] = None) -> None:
    if authorization is None:
        raise NotSignedIn


def opened() -> Iterator[None]:
    yield
    log.warning("let go")


class Item(BaseModel):
    name: str


app = FastAPI(max_body_size=LIMIT)
mounted = FastAPI()
Signed = Depends(signed_in)


@app.post("/auth", dependencies=[Signed])
@mounted.post("/auth", dependencies=[Signed])
async def auth(request: Request) -> int:
    return len(await request.body())


@app.post("/limited", max_body_size=1000)
async def limited(request: Request) -> int:
    return len(await request.body())


@app.post("/limited-form", max_body_size=1000)
async def limited_form(item: Item) -> Item:
    return item


@app.post("/json")
async def json(item: Item) -> Item:
    return item


@app.post("/number/{number}")
async def number(number: int, request: Request) -> int:
    return len(await request.body())


@app.post("/crash")
async def crash() -> None:
    raise RuntimeError("hunter2")


@app.post("/half")
async def half(request: Request) -> None:
    async for _ in request.stream():
        raise NotAllowed


@app.post("/held", dependencies=[Depends(opened, scope="request")])
async def held() -> Response:
    return PlainTextResponse("no", 403)


@app.post("/ignored")
async def ignored() -> str:
    return "done"


@app.get("/")
async def page() -> str:
    return "here"


class Gate:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        match scope.get("path"):
            case "/gate/problem":
                raise NotAllowed
            case "/gate/crash":
                raise RuntimeError("hunter2")
            case "/gate/text":
                await PlainTextResponse("go away", 403)(scope, receive, send)
            case _:
                await self.app(scope, receive, send)


async def passing(request: Request, call_next: Any) -> Any:
    if request.url.path == "/base/text":
        return PlainTextResponse("go away", 403)
    if request.url.path == "/base/problem":
        raise NotAllowed
    return await call_next(request)


size, seconds, pause = os.environ.get("BOUNDS", "67108864 10 2").split()
linger = Linger(
    max_bytes=int(size),
    max_time=timedelta(seconds=float(seconds)),
    max_pause=timedelta(seconds=float(pause)),
)
problems.install(mounted, linger=linger)
app.mount("/mounted", mounted)
app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
app.add_middleware(Gate)
match os.environ.get("INSTALL", "on"):
    case "on":
        problems.install(app, linger=linger)
    case "wrapped":
        app = LingeringClose(app, linger)  # type: ignore[assignment]
