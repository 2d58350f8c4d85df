"""Limits on an application, twice on one, and on one that is mounted in it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

from roadworthy import limits, problems
from roadworthy.problems import Problem


class GatewayTimeout(Problem):
    """It took too long."""

    status = 504
    title = "Too late"
    detail = "It took too long."


LONG, SHORT = timedelta(seconds=30), timedelta(milliseconds=100)


async def quick() -> int:
    return 1


async def slow() -> int:
    await asyncio.sleep(5)
    return 1


def with_routes(app: FastAPI) -> FastAPI:
    app.add_api_route("/quick", quick)
    app.add_api_route("/slow", slow)
    app.add_api_route("/limited", slow, dependencies=[limits.time_limit(SHORT)])
    return app


async def get(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.get(path)


def nested(times: list[timedelta | None], *, contract: str, middleware: bool = False) -> FastAPI:
    """Return an application in one in one, from the outermost time to the innermost."""
    inner: FastAPI | None = None
    for level, time in reversed(list(enumerate(times))):
        app = FastAPI() if inner else with_routes(FastAPI())
        if inner is not None:
            app.mount("/in", inner)
            app.mount("/again", inner)
        limits.install(app, time=time, at_most=10)
        if middleware:
            app.add_middleware(BaseHTTPMiddleware, dispatch=_passing)
        if contract == "all" or (contract == "outermost" and level == 0):
            problems.install(app)
        inner = app
    assert inner is not None
    return inner


async def _passing(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
    return await call_next(request)


@pytest.mark.sampled
@pytest.mark.parametrize("contract", ["all", "outermost", "none"])
@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("levels", [1, 2, 3])
async def test_limits_inside_of_limits(
    levels: int, contract: str, middleware: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = nested([LONG] * levels, contract=contract, middleware=middleware)

    for inside in itertools.product(["/in", "/again"], repeat=levels - 1):
        for _ in range(12):  # more than run at a time: what has ended is counted no more
            answer = await get(app, "".join(inside) + "/quick")
            assert (answer.status_code, answer.text) == (200, "1")
        limited = await get(app, "".join(inside) + "/limited")
        assert (limited.status_code, limited.headers["x-error-code"]) == (
            503,
            "SERVICE_UNAVAILABLE",
        )
    assert [r for r in caplog.records if r.levelname in {"ERROR", "CRITICAL"}] == []


@pytest.mark.parametrize("contract", ["all", "outermost", "none"])
@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("short", [0, 1, 2])
async def test_whoevers_time_is_over_first_answers(
    short: int, contract: str, middleware: bool
) -> None:
    times: list[timedelta | None] = [LONG, None, LONG]
    times[short] = SHORT
    app = nested(times, contract=contract, middleware=middleware)

    for _ in range(3):
        answer = await get(app, "/in/again/slow")
        assert (answer.status_code, answer.headers["x-error-code"]) == (503, "SERVICE_UNAVAILABLE")
    assert (await get(app, "/in/in/quick")).status_code == 200


async def test_two_that_are_over_at_once_answer_once() -> None:
    app = nested([SHORT, SHORT, SHORT], contract="all")

    answers = await asyncio.gather(*(get(app, "/in/in/slow") for _ in range(8)))

    assert [a.status_code for a in answers] == [503] * 8


@pytest.mark.parametrize("contract", [True, False])
@pytest.mark.parametrize("times", [(LONG, SHORT), (SHORT, LONG)])
async def test_limits_twice_on_one_application(times: Any, contract: bool) -> None:
    app = with_routes(FastAPI())
    for time in times:
        limits.install(app, time=time, problem=GatewayTimeout)
    if contract:
        problems.install(app)

    for _ in range(2):
        assert (await get(app, "/quick")).text == "1"
        assert (await get(app, "/slow")).status_code == 504


@pytest.mark.parametrize("times", [(LONG, SHORT), (SHORT, LONG), (SHORT, SHORT)])
async def test_a_limit_of_a_route_replaces_both_of_its_application(times: Any) -> None:
    app = FastAPI()

    @app.get("/", dependencies=[limits.time_limit(LONG)])
    async def patient() -> int:
        await asyncio.sleep(0.3)
        return 1

    for time in times:
        limits.install(app, time=time)

    assert (await get(app, "/")).text == "1"


async def test_a_limit_of_a_mounted_route_leaves_the_time_of_who_mounts_it() -> None:
    app, inner = FastAPI(), FastAPI()

    @inner.get("/", dependencies=[limits.time_limit(LONG)])
    async def patient() -> int:
        await asyncio.sleep(5)
        return 1

    limits.install(inner)
    limits.install(app, time=SHORT)
    app.mount("/in", inner)

    assert (await get(app, "/in/")).status_code == 503
