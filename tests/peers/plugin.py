"""A pytest plugin for other people's suites: put our parts on each application, and write down
what every client was answered.

`PEERS_PARTS` names the parts ("" for none), `PEERS_RECORD` the folder to write into. Both are set
by `run.py`; nothing of this is imported by our own tests.
"""

import functools
import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

PARTS = [name for name in os.environ.get("PEERS_PARTS", "").split(",") if name]
RECORD = Path(os.environ["PEERS_RECORD"])

_exchanges: list[dict[str, Any]] = []
_asking: list[str] = []
"""What a test client is asking for: its own record tells of that."""


def pytest_configure(config: pytest.Config) -> None:
    if PARTS and (config.rootpath / "fastapi").is_dir():
        _put_on_fastapi()
    elif PARTS:
        _put_around_starlette()
    _record_clients()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _exchanges.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[Any]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        _write(item.nodeid, report)
    return report


def _write(nodeid: str, report: pytest.TestReport) -> None:
    told = {
        "test": nodeid,
        "outcome": report.outcome,
        "why": str(report.longrepr)[-1500:] if report.failed else "",
        "exchanges": _exchanges,
    }
    # One file for each worker of pytest-xdist, so that none writes into another's line.
    with (RECORD / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.jsonl").open("a") as file:
        file.write(json.dumps(told) + "\n")


def _put_on_fastapi() -> None:
    from fastapi import FastAPI

    make = FastAPI.__init__

    @functools.wraps(make)
    def make_with_parts(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        for part in PARTS:
            INSTALL[part](self)

    FastAPI.__init__ = make_with_parts  # type: ignore[method-assign] - that is the point


def _put_around_starlette() -> None:
    """Serve each application of Starlette's suite as one that is mounted in ours."""
    from fastapi import FastAPI
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    make = TestClient.__init__

    @functools.wraps(make)
    def make_around(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(app, Starlette):
            outer = FastAPI(lifespan=app.router.lifespan_context, openapi_url=None)
            for part in PARTS:
                INSTALL[part](outer)
            outer.mount("", app)
            app = outer
        make(self, app, *args, **kwargs)

    TestClient.__init__ = make_around  # type: ignore[method-assign] - that is the point


def _problems(app: Any) -> None:
    from roadworthy import problems

    problems.install(app)


def _limits(app: Any) -> None:
    from roadworthy import limits

    limits.install(app, time=timedelta(seconds=60), at_most=1000)


def _health(app: Any) -> None:
    from roadworthy.health import Health

    Health(version="1").install(app)


def _telemetry(app: Any) -> None:
    from roadworthy.observability import Telemetry

    Telemetry().install(app)


def _lifespan(app: Any) -> None:
    from fastapi import APIRouter

    from roadworthy.lifespan import lifespan

    app.include_router(APIRouter(lifespan=lifespan()))


INSTALL: dict[str, Callable[[Any], None]] = {
    "health": _health,
    "limits": _limits,
    "telemetry": _telemetry,
    "lifespan": _lifespan,
    "problems": _problems,
}


def _record_clients() -> None:
    from starlette.testclient import TestClient

    ask = TestClient.request

    @functools.wraps(ask)
    def ask_and_record(self: Any, method: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        told: dict[str, Any] = {"method": method, "url": str(url)}
        _exchanges.append(told)
        _asking.append(str(url))
        try:
            response = ask(self, method, url, *args, **kwargs)
        except BaseException as error:
            told["raised"] = type(error).__name__
            raise
        finally:
            _asking.pop()
        told["status"] = response.status_code
        told["type"] = response.headers.get("content-type", "")
        told["body"] = response.text if len(response.content) < 500_000 else "long"
        return response

    TestClient.request = ask_and_record  # type: ignore[method-assign] - that is the point
    _record_refused_websockets()
    _record_documents()
    _record_calls()


def _record_refused_websockets() -> None:
    from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession

    enter = WebSocketTestSession.__enter__

    @functools.wraps(enter)
    def enter_and_record(self: Any) -> Any:
        told: dict[str, Any] = {"method": "WEBSOCKET", "url": self.scope["path"]}
        try:
            return enter(self)
        except WebSocketDenialResponse as refused:
            told |= {"status": refused.status_code, "body": refused.text}
            _exchanges.append(told)
            raise

    WebSocketTestSession.__enter__ = enter_and_record  # type: ignore[method-assign] - the point


def _record_documents() -> None:
    """Record what `app.openapi()` returns, whoever asks, after our parts have had their say."""
    from fastapi import FastAPI

    make = FastAPI.__init__

    @functools.wraps(make)
    def make_recorded(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.openapi = functools.partial(_document_of, self.openapi)

    FastAPI.__init__ = make_recorded  # type: ignore[method-assign] - that is the point


def _document_of(make: Callable[[], Any]) -> Any:
    document = make()
    _exchanges.append({"method": "schema", "url": "", "status": 200, "body": json.dumps(document)})
    return document


def _record_calls() -> None:
    """Record what an application answers where no test client of Starlette asks it."""
    from fastapi import FastAPI

    serve = FastAPI.__call__

    @functools.wraps(serve)
    async def serve_and_record(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if _asking or scope["type"] != "http" or "peers.recorded" in scope:
            return await serve(self, scope, receive, send)
        told: dict[str, Any] = {"method": scope["method"], "url": scope["path"], "body": ""}
        _exchanges.append(told)

        async def send_and_record(message: Any) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                told["type"] = dict(message.get("headers", ())).get(b"content-type", b"").decode()
            told["body"] += bytes(message.get("body", b"")).decode(errors="replace")
            await send(message)

        try:
            await serve(self, {**scope, "peers.recorded": True}, receive, send_and_record)
        except BaseException as error:
            told["raised"] = type(error).__name__
            raise

    FastAPI.__call__ = serve_and_record  # type: ignore[method-assign] - that is the point
