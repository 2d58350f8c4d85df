"""Nobody gets in whom `access` does not name, whatever is asked, and how."""

import asyncio
import logging

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from console.consoles import HTML, POLICY, SAME, ana, app_with, client_of
from roadworthy import problems
from roadworthy.console import EVERY_ACTION, Token, Viewer, console
from roadworthy.console.pages import PAGES

PATHS = [
    *("/ops", "/ops/", "/ops//", "/ops/jobs", "/ops/jobs/1/retry", "/ops/sign-out"),
    *("/ops/static/console.css", "/ops/static/htmx.min.js", "/ops/static/", "/ops/%2e%2e/static"),
    *("/ops/\N{SNOWMAN}", "/ops/a/b/c/d", "/ops/problems?code=x", "/ops/static/../static/icon.svg"),
    *(f"/ops/{page.name}" for page in PAGES),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


def told_by(answer: httpx.Response) -> dict[str, str]:
    return {n: v for n, v in answer.headers.items() if n not in {"x-request-id", "content-length"}}


@pytest.mark.parametrize("access", [None, lambda request: None], ids=["no access", "None"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", dict.fromkeys(PATHS))
async def test_for_strangers_there_is_nothing(access, method, path):
    async with client_of(app_with(access)) as client:
        found = await client.request(method, path, headers=HTML | SAME)
        elsewhere = await client.request(method, "/nowhere", headers=HTML | SAME)
    assert found.status_code == 404
    assert found.headers["x-error-code"] == "NOT_FOUND"
    assert told_by(found) == told_by(elsewhere)
    if method != "HEAD":
        assert found.json()["error"]["code"] == "NOT_FOUND"


async def test_with_a_token_strangers_find_the_form_and_nothing_else():
    async with client_of(app_with(Token("s3cret"))) as client:
        for path in dict.fromkeys(PATHS):
            for headers in ({}, HTML):
                found = await client.get(path, headers=headers)
                if headers and path in {"/ops", "/ops/"}:
                    assert (found.status_code, found.headers["location"]) == (303, "/ops/sign-in")
                else:
                    assert (path, found.status_code) == (path, 404)
            posted = await client.post(path, headers=HTML | SAME)
            assert (path, posted.status_code) == (path, 404)
        assert (await client.get("/ops/sign-in")).status_code == 200
        assert (await client.put("/ops/sign-in")).status_code == 404


async def test_a_viewer_sees_the_first_page_and_its_assets():
    async with client_of(app_with(ana)) as client:
        assert (await client.get("/ops")).status_code == 200
        assert (await client.get("/ops/")).headers["location"] == "/ops"
        assert (await client.get("/ops/static/console.css")).status_code == 200
        assert (await client.get("/ops/static/../access.py")).status_code == 404


async def test_access_may_be_a_coroutine():
    async def access(request):
        await asyncio.sleep(0)
        return Viewer("ben") if request.headers.get("x-user") == "ben" else None

    async with client_of(app_with(access)) as client:
        assert (await client.get("/ops")).status_code == 404
        assert "ben" in (await client.get("/ops", headers={"x-user": "ben"})).text


@pytest.mark.parametrize("wrong", [True, "ana", 1, {"name": "ana"}, Viewer, ("ana",)])
async def test_what_is_no_viewer_opens_nothing_and_is_told_in_the_log(wrong, caplog):
    with caplog.at_level(logging.ERROR):
        async with client_of(app_with(lambda request: wrong)) as client:
            found = await client.get("/ops", headers=HTML)
            asset = await client.get("/ops/static/console.css")
    assert (found.status_code, found.headers["x-error-code"]) == (500, "INTERNAL_ERROR")
    assert asset.status_code == 500
    assert "return Viewer('ana')" in caplog.text


@pytest.mark.parametrize("value", [False, 0, ""])
async def test_a_false_value_opens_nothing_either(value):
    async with client_of(app_with(lambda request: value)) as client:
        assert (await client.get("/ops")).status_code == 500


async def test_an_access_that_fails_opens_nothing(caplog):
    def access(request):
        raise LookupError("no such directory")

    async with client_of(app_with(access)) as client:
        found = await client.get("/ops", headers=HTML)
    assert (found.status_code, found.headers["x-error-code"]) == (500, "INTERNAL_ERROR")
    assert "no such directory" not in found.text
    assert "no such directory" in caplog.text


async def test_an_access_may_refuse_in_words_of_its_own():
    def access(request):
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    async with client_of(app_with(access)) as client:
        found = await client.get("/ops")
    assert (found.status_code, found.headers["www-authenticate"]) == (401, "Basic")


@pytest.mark.parametrize("wrong", [True, "secret", 7])
def test_what_cannot_be_called_is_refused_where_it_is_written(wrong):
    with pytest.raises(TypeError, match="has to be a function of the request"):
        console(access=wrong)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_viewer_has_a_name(name):
    with pytest.raises(ValueError, match="1 to 200 characters"):
        Viewer(name)


def test_a_viewer_may_do_what_was_said_and_no_more():
    viewer = Viewer("ana", actions=["retry"])
    assert [action for action in EVERY_ACTION if viewer.may(action)] == ["retry"]
    assert not any(Viewer("ben").may(action) for action in EVERY_ACTION)
    with pytest.raises(ValueError, match="There is no action 'rtry'"):
        Viewer("ana", actions=["rtry"])  # type: ignore[list-item]


async def test_a_viewer_without_actions_is_told_so():
    async with client_of(app_with(ana)) as client:
        assert "(read only)" in (await client.get("/ops")).text


async def answers_of(app: FastAPI) -> list[httpx.Response]:
    async with client_of(app) as client:
        return [
            await client.get("/ops", headers=HTML),
            await client.get("/ops/static/console.js"),
            await client.get("/ops/static/nothing.js"),
            await client.get("/ops/static/nothing.js", headers=HTML),
            await client.get("/ops/"),
            await client.post("/ops/sign-out", headers={"sec-fetch-site": "cross-site"}),
            await client.post("/ops/sign-out", headers=HTML | {"sec-fetch-site": "none"}),
            await client.post("/ops/sign-out", headers=SAME),
        ]


async def test_every_answer_to_a_viewer_has_the_headers_that_protect_it():
    for answer in await answers_of(app_with(ana)):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_page_that_crashes_says_so_without_the_cause_and_is_logged(monkeypatch, caplog):
    def fail(visit):
        raise RuntimeError("hunter2")

    app = FastAPI()
    problems.install(app)
    monkeypatch.setattr("roadworthy.console.visit.Visit.menu", fail)
    app.include_router(console(access=ana), prefix="/ops")
    async with client_of(app) as client:
        found = await client.get("/ops")
    assert (found.status_code, found.headers["x-error-code"]) == (500, "INTERNAL_ERROR")
    assert found.headers["content-security-policy"] == POLICY
    assert "hunter2" not in found.text
    assert "hunter2" in caplog.text


def test_the_policy_allows_nothing_inline():
    assert "unsafe" not in POLICY
    assert "*" not in POLICY
    assert "data:" not in POLICY
