"""A 304 is one start and one empty end, whatever sends the body, and whatever stands around."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, Response
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

from roadworthy import problems
from roadworthy.conditional import ConditionalGet
from support.nginx import Nginx, proxy_to
from support.server import Server

TAG = {"etag": '"9"'}
NOT_MODIFIED = [("http.response.start", 304, b""), ("http.response.body", None, b"")]


async def trailing(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"etag", b'"9"'), (b"trailer", b"digest")]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
    await send({"type": "http.response.body", "body": b"x" * 2000})
    await send({"type": "http.response.trailers", "headers": [(b"digest", b"1")]})


async def by_descriptor(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"ETag", b'W/"9"')]})
    await send({"type": "http.response.zerocopysend", "file": 3, "count": 4})


class Raw(Response):
    def __init__(self, app: Any) -> None:
        super().__init__()
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def stream() -> Iterator[bytes]:
    yield from [b"x" * 600] * 3


async def async_stream() -> AsyncIterator[bytes]:
    for piece in stream():
        yield piece


BODIES: dict[str, Callable[[], Response]] = {
    "whole": lambda: PlainTextResponse("x" * 2000, headers=TAG),
    "empty": lambda: Response(headers=TAG),
    "no content": lambda: Response(status_code=204, headers=TAG),
    "weak": lambda: PlainTextResponse("x" * 2000, headers={"ETag": 'W/"9"'}),
    "stream": lambda: StreamingResponse(stream(), headers=TAG),
    "async stream": lambda: StreamingResponse(async_stream(), headers=TAG),
    "file": lambda: FileResponse(__file__, headers=TAG),
    "trailers": lambda: Raw(trailing),
}


async def _passing(request: Any, call_next: Any) -> Response:
    answer: Response = await call_next(request)
    return answer


def gzip(app: FastAPI) -> None:
    app.add_middleware(GZipMiddleware, minimum_size=1)


def base(app: FastAPI) -> None:
    app.add_middleware(BaseHTTPMiddleware, dispatch=_passing)


def contract(app: FastAPI) -> None:
    problems.install(app)


AROUND = {"nothing": [], "gzip": [gzip], "base": [base], "all": [base, gzip, contract]}
INSIDE = {"nothing": [], "base": [base], "gzip": [gzip]}


def make_app(answer: Callable[[], Response], around: Any, inside: Any) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/", answer, methods=["GET", "HEAD"], response_model=None)
    for add in inside:
        add(app)
    app.add_middleware(ConditionalGet)
    for add in around:
        add(app)
    return app


async def ask(
    app: Any, *headers: tuple[bytes, bytes], method: str = "GET", **extensions: Any
) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise NotImplementedError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "state": {}}
    more = {"headers": [*headers, (b"accept-encoding", b"gzip")], "extensions": extensions}
    await app({**scope, **more, "http_version": "1.1", "asgi": {"version": "3.0"}}, receive, send)
    return sent


def told(sent: list[Message]) -> list[tuple[str, int | None, bytes]]:
    return [(m["type"], m.get("status"), m.get("body", b"")) for m in sent]


@pytest.mark.sampled
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("inside", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_304_is_one_start_and_one_empty_end(
    body: Callable[[], Response], around: Any, inside: Any, method: str
) -> None:
    app = make_app(body, around, inside)

    for tags in (b'"9"', b'W/"9"', b'"1", "9"', b"*"):
        sent = await ask(app, (b"if-none-match", tags), method=method)

        assert told(sent) == NOT_MODIFIED
        names = {name.lower() for name, _ in sent[0]["headers"]}
        assert b"etag" in names
        assert names.isdisjoint({b"content-type", b"content-encoding", b"trailer"})
        assert "trailers" not in sent[0]
        assert not sent[1].get("more_body", False)


@pytest.mark.parametrize("wanted", [b"bytes=0-3", b"bytes=0-3,8-9", b"bytes=-5"])
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
async def test_the_condition_is_judged_before_the_range(around: Any, wanted: bytes) -> None:
    """RFC 9110 §13.2.2."""
    app = make_app(BODIES["file"], around, [])

    for tags in (b'"9"', b'W/"9"', b'"1", "9"', b"*"):
        sent = await ask(app, (b"if-none-match", tags), (b"range", wanted))
        assert told(sent) == NOT_MODIFIED
        assert b"content-range" not in {name for name, _ in sent[0]["headers"]}
    other = await ask(app, (b"if-none-match", b'"1"'), (b"range", wanted))
    assert other[0]["status"] == 206


@pytest.mark.parametrize("range_", [(), ((b"range", b"bytes=0-3"),)])
async def test_a_file_that_the_server_would_send_by_its_path_is_not_sent(range_: Any) -> None:
    app = make_app(BODIES["file"], [], [])
    path: dict[str, Any] = {"http.response.pathsend": {}}

    sent = await ask(app, (b"if-none-match", b'"9"'), *range_, **path)

    assert told(sent) == NOT_MODIFIED
    assert len(await ask(app, (b"if-none-match", b'"1"'), *range_, **path)) == 2


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
async def test_nor_one_that_is_sent_by_its_descriptor(around: Any) -> None:
    app = make_app(lambda: Raw(by_descriptor), around, [])

    assert told(await ask(app, (b"if-none-match", b'"9"'))) == NOT_MODIFIED


async def test_what_runs_after_the_answer_still_runs() -> None:
    ran: list[str] = []
    app = FastAPI()
    app.add_middleware(ConditionalGet)

    @app.get("/")
    def read(tasks: BackgroundTasks, response: Response) -> str:
        tasks.add_task(ran.append, "task")
        response.headers["etag"] = '"9"'
        return "x"

    assert told(await ask(app, (b"if-none-match", b'"9"'))) == NOT_MODIFIED
    assert ran == ["task"]


def test_errors_are_sent_as_they_are() -> None:
    app = FastAPI()
    app.add_middleware(ConditionalGet)
    app.add_api_route("/", lambda: Response("no", 404, TAG), response_model=None)

    with TestClient(app) as client:
        assert client.get("/", headers={"If-None-Match": "*"}).status_code == 404


PROXIED = """
from fastapi import FastAPI, Response
from roadworthy import problems
from roadworthy.conditional import IfMatch, Match, RequiredIfMatch, if_match, set_etag
from typing import Annotated

app = FastAPI()
problems.install(app)
Weakened = Annotated[Match, if_match(weakened=True)]
Wanted = Annotated[Match, if_match(weakened=True, required=True)]

@app.get("/item")
def read(response: Response) -> str:
    set_etag(response, 7)
    return "x" * 2000

@app.patch("/strict")
def strict(match: IfMatch) -> None:
    match.check(7)

@app.patch("/weakened")
def weakened(match: Weakened) -> list[int] | None:
    match.check(7)
    return match.versions(int)

@app.patch("/wanted")
def wanted(match: Wanted) -> None:
    match.check(7)
"""

COMPRESSING = "gzip on; gzip_types *; gzip_min_length 100;"
MENDED = "gzip on; gzip_types text/html text/css; gzip_min_length 100;"


@pytest.mark.parametrize(
    ("http", "strict"), [(COMPRESSING, 412), (MENDED, 200)], ids=["compresses", "as the page says"]
)
def test_behind_an_nginx_that_compresses_an_if_match_works(
    serve: Callable[..., Server], tmp_path: Path, http: str, strict: int
) -> None:
    service = tmp_path / "proxied.py"
    service.write_text(PROXIED)
    server = serve(service)
    nginx = Nginx(proxy_to(server.port), folder=tmp_path / "nginx", http=http)
    try:
        with httpx.Client(base_url=nginx.url, headers={"Accept-Encoding": "gzip"}) as client:
            seen = client.get("/item").headers["etag"]
            stale = {"If-Match": seen.replace("7", "6")}
            answers = {
                path: client.patch(f"/{path}", headers={"If-Match": seen}).status_code
                for path in ("strict", "weakened", "wanted")
            }
            versions = client.patch("/weakened", headers={"If-Match": seen}).json()
            refused = client.patch("/weakened", headers=stale).status_code
            missing = client.patch("/wanted").status_code
    finally:
        nginx.stop()

    assert seen == ('W/"7"' if strict == 412 else '"7"')
    assert answers == {"strict": strict, "weakened": 200, "wanted": 200}
    assert (versions, refused, missing) == ([7], 412, 428)
