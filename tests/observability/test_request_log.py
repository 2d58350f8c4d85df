"""One line for each request, with nothing in it that only the client should know."""

import asyncio
import io
import json
import re

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException

from roadworthy import problems
from roadworthy.observability import RequestLog


def app_with(log):
    app = FastAPI(telemetry={"tracing": False})  # another test of this process may have set it up
    router = APIRouter(prefix="/v1")

    @router.get("/items/{item_id}")
    async def item(item_id: str) -> str:
        return item_id

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret")

    @app.get("/refuse")
    async def refuse() -> None:
        raise HTTPException(409)

    app.include_router(router)
    problems.install(app, observe=log)
    return app


async def lines_of(*targets, style="json"):
    stream = io.StringIO()
    transport = httpx.ASGITransport(app_with(RequestLog(style=style, stream=stream)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for target in targets:
            await client.get(target, headers={"X-Request-ID": "id-1"})
    await asyncio.sleep(0)
    return stream.getvalue().splitlines()


async def test_a_line_tells_method_route_status_time_and_request_id():
    (line,) = await lines_of("/v1/items/hunter2?token=secret")

    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found.pop("milliseconds") >= 0
    assert found == {
        "level": "INFO",
        "logger": "roadworthy.request",
        "method": "GET",
        "route": "/v1/items/{item_id}",
        "status": 200,
        "request_id": "id-1",
    }


async def test_a_crash_a_refusal_and_an_unknown_path_have_their_lines():
    lines = await lines_of("/crash", "/refuse", "/nowhere/secret")

    assert [(json.loads(line)["status"], json.loads(line)["route"]) for line in lines] == [
        (500, "/crash"),
        (409, "/refuse"),
        (404, "-"),
    ]


async def test_people_read_another_style():
    (line,) = await lines_of("/refuse", style="console")

    assert re.search(r"Z INFO +roadworthy\.request \[id-1\] GET /refuse 409 \d+\.\d ms$", line)


@pytest.mark.parametrize("broken", [ValueError("observer")])
async def test_an_observer_that_fails_changes_no_answer(broken, caplog):
    def observe(scope, status, seconds):
        raise broken

    transport = httpx.ASGITransport(app_with(observe))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/v1/items/a")).status_code == 200
    assert "an observer failed" in caplog.text


async def test_a_client_that_left_before_an_answer_is_a_499():
    stream = io.StringIO()
    app = FastAPI(telemetry={"tracing": False})  # another test of this process may have set it up

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.Event().wait()

    problems.install(app, observe=RequestLog(stream=stream))
    scope = {"type": "http", "method": "GET", "path": "/slow", "headers": [], "query_string": b""}
    task = asyncio.create_task(app(scope, asyncio.Event().wait, _nowhere))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)

    assert json.loads(stream.getvalue())["status"] == 499


async def _nowhere(message):
    raise AssertionError("nothing should be sent")
